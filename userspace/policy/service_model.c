/* SPDX-License-Identifier: Apache-2.0 */
/* service_model.c - services as plain data. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/model.h"

void service_done(struct service *s)
{
	free(s->ns);
	free(s->name);
	labels_done(&s->labels);
	label_selector_done(&s->selector);
	free(s->addrs);
	for (size_t i = 0; i < s->nports; i++) {
		free(s->ports[i].name);
		free(s->ports[i].target_name);
	}
	free(s->ports);
	for (size_t i = 0; i < s->nbackends; i++) {
		free(s->backends[i].pod);
		free(s->backends[i].ports);
	}
	free(s->backends);
	*s = (struct service){};
}

static int dup_text(const char *from, char **to)
{
	if (!from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : -ENOMEM;
}

static int copy_array(const void *from, size_t n, size_t size, void *to)
{
	void *p = NULL;

	if (n) {
		p = calloc(n, size);
		if (!p)
			return -ENOMEM;
		memcpy(p, from, n * size);
	}
	memcpy(to, &p, sizeof(p));
	return 0;
}

static int copy_ports(const struct service *from, struct service *to)
{
	int r = 0;

	to->ports = calloc(from->nports + 1, sizeof(*to->ports));
	if (!to->ports)
		return -ENOMEM;
	for (size_t i = 0; i < from->nports && !r; i++) {
		const struct service_port *p = &from->ports[i];

		to->ports[to->nports++] = (struct service_port){ .proto = p->proto, .port = p->port,
								 .node_port = p->node_port, .target = p->target };
		r = dup_text(p->name, &to->ports[i].name);
		r = r ?: dup_text(p->target_name, &to->ports[i].target_name);
	}
	return r;
}

static int copy_backends(const struct service *from, struct service *to)
{
	int r = 0;

	to->backends = calloc(from->nbackends + 1, sizeof(*to->backends));
	if (!to->backends)
		return -ENOMEM;
	for (size_t i = 0; i < from->nbackends && !r; i++) {
		const struct service_backend *b = &from->backends[i];
		struct service_backend *c = &to->backends[to->nbackends++];

		c->addr = b->addr;
		c->ready = b->ready;
		r = dup_text(b->pod, &c->pod);
		if (!r && b->ports)
			r = copy_array(b->ports, from->nports, sizeof(*b->ports), &c->ports);
	}
	return r;
}

int service_copy(const struct service *from, struct service *to)
{
	struct service c = {};
	int r = dup_text(from->ns, &c.ns);

	r = r ?: dup_text(from->name, &c.name);
	r = r ?: labels_copy(&from->labels, &c.labels);
	r = r ?: label_selector_copy(&from->selector, &c.selector);
	r = r ?: copy_array(from->addrs, from->naddrs, sizeof(*from->addrs), &c.addrs);
	c.naddrs = c.addrs ? from->naddrs : 0;
	r = r ?: copy_ports(from, &c);
	r = r ?: copy_backends(from, &c);
	if (r) {
		service_done(&c);
		return r;
	}
	*to = c;
	return 0;
}
