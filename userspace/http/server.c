/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - life of the server: listeners, accepting, deadlines, shutdown. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "http/conn.h"

/* Finds the library's wake-up descriptor: the poll handle that came with its context. */
struct fd_note { int last; };
static void note_fd(uv_handle_t *h, void *arg)
{
	struct fd_note *note = arg;

	if (h->type == UV_POLL)
		(void)uv_fileno(h, &note->last);
}

int http_server_new(struct uv_loop_s *loop, const struct http_server_config *cfg,
		    struct http_server **ret)
{
	void *loops[] = { loop };
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER, /* we accept, the library adopts */
		.foreign_loops = loops,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_NO_LWS_SYSTEM_STATES |
			   LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.max_http_header_data = HTTP_HEADER_MAX,
	};
	struct http_server *s = calloc(1, sizeof(*s));
	struct fd_note before = { -1 }, after;

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	if (cfg)
		s->cfg = *cfg;
	s->cfg.max_conns = s->cfg.max_conns ?: HTTP_CONNS_MAX;
	s->cfg.request_secs = s->cfg.request_secs ?: 10;
	s->cfg.send_secs = s->cfg.send_secs ?: 20;
	s->cfg.idle_secs = s->cfg.idle_secs ?: 30;
	s->cfg.body_max = s->cfg.body_max ?: HTTP_BODY_MAX;
	s->cfg.stream_queue_max = s->cfg.stream_queue_max ?: HTTP_STREAM_QUEUE_MAX;

	s->protocols[0] = (struct lws_protocols){ .name = "http", .callback = http_conn_callback };
	info.protocols = s->protocols;
	info.user = s;
	info.pcontext = &s->ctx;
	/* One header table for each connection: slow senders must not starve others of tables. */
	info.max_http_header_pool = (unsigned short)(s->cfg.max_conns + 8);
	/*
	 * A chunk must go to the socket in one piece: a unix socket that is writable takes it whole,
	 * so the library never keeps a rest, which it would insist on sending before it closes.
	 */
	info.pt_serv_buf_size = LWS_PRE + 2 * HTTP_WRITE_CHUNK;
	info.fd_limit_per_thread = s->cfg.max_conns + 16;
	info.timeout_secs = s->cfg.request_secs;
	info.timeout_secs_ah_idle = s->cfg.request_secs;
	info.keepalive_timeout = (int)s->cfg.idle_secs;
	lws_set_log_level(0, NULL); /* library rooms stay quiet */
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (s->spare_fd < 0) {
		free(s);
		return -errno;
	}
	uv_walk(loop, note_fd, &before);
	s->ctx = lws_create_context(&info);
	if (!s->ctx) {
		close(s->spare_fd);
		free(s);
		return -EIO;
	}
	after = before;
	uv_walk(loop, note_fd, &after);
	s->wake_fd = after.last == before.last ? -1 : after.last;
	s->vh = lws_get_vhost_by_name(s->ctx, "default");
	(void)uv_timer_init(loop, &s->sweep); /* cannot fail */
	s->sweep.data = s;
	s->handles = 1;
	*ret = s;
	return 0;
}

int http_server_routes(struct http_server *s, const struct http_route *routes, size_t n, void *arg)
{
	for (size_t i = 0; i < n; i++) {
		int r = route_table_add(&s->routes, &routes[i], arg);

		if (r < 0)
			return r;
	}
	return 0;
}

void http_server_stats_get(const struct http_server *s, struct http_server_stats *ret)
{
	*ret = s->stats;
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static uint64_t seconds_from_now(const struct http_server *s, uint32_t secs)
{
	return uv_now(s->loop) + (uint64_t)secs * 1000;
}

void http_conn_phase(struct http_conn *c, enum conn_phase phase)
{
	const struct http_server_config *cfg = &c->server->cfg;

	if (c->phase != phase)
		c->hard_deadline = 0;
	c->phase = phase;
	switch (phase) {
	case CONN_HEAD:
		c->deadline = seconds_from_now(c->server, cfg->idle_secs);
		break;
	case CONN_BODY:
		c->deadline = seconds_from_now(c->server, cfg->request_secs);
		if (!c->hard_deadline)
			c->hard_deadline = seconds_from_now(c->server, 4 * cfg->request_secs);
		break;
	case CONN_HANDLER:
		c->deadline = 0;
		break;
	case CONN_SEND:
	case CONN_STREAM:
		c->deadline = seconds_from_now(c->server, cfg->send_secs);
		break;
	}
}

/* The library does not look at the socket while an answer is awaited or a stream is quiet. */
static bool conn_hung_up(const struct http_conn *c)
{
	struct pollfd p = { .fd = lws_get_socket_fd(c->wsi) };

	return (c->phase == CONN_HANDLER || c->phase == CONN_STREAM) && poll(&p, 1, 0) > 0 &&
	       (p.revents & (POLLHUP | POLLERR));
}

static void sweep_due(uv_timer_t *t)
{
	struct http_server *s = t->data;
	uint64_t now = uv_now(s->loop);
	struct http_conn *next;

	for (struct http_conn *c = s->conns; c; c = next) {
		bool late = (c->deadline && now >= c->deadline) ||
			    (c->hard_deadline && now >= c->hard_deadline);

		next = c->next;
		if (!late && !conn_hung_up(c))
			continue;
		if (late && (c->phase != CONN_HEAD || !c->served))
			s->stats.dropped_slow++;
		/* frees c; we stand in a timer of our own, none of the library's frames is below us */
		lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
	}
	for (size_t i = 0; i < s->nlisteners; i++)
		if (!uv_is_active((uv_handle_t *)&s->listeners[i]->poll))
			return; /* accepting was paused: see listener_resume */
	if (!s->conns)
		uv_timer_stop(t);
}

/* ---- accepting ------------------------------------------------------------------------------- */

void http_conn_free(struct http_conn *c)
{
	if (c->adopting) {
		c->dead = true;
		return;
	}
	c->server->stats.conns--;
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
	free(c);
}

static bool peer_has_room(const struct http_server *s, const struct ucred *peer)
{
	uint32_t max = s->cfg.max_conns, same = 0;

	if (s->stats.conns >= max)
		return false;
	if (peer->uid == 0)
		return true;
	for (const struct http_conn *c = s->conns; c; c = c->next)
		same += c->has_peer && c->peer.uid == peer->uid;
	return same < (max + 1) / 2 && s->stats.conns < max - max / 8;
}

static int conn_adopt(struct http_server *s, int fd)
{
	struct http_conn *c = calloc(1, sizeof(*c));
	socklen_t len = sizeof(c->peer);
	lws_adopt_desc_t desc = {
		.vh = s->vh,
		.type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP,
		.fd.sockfd = fd,
		.opaque = c,
	};

	if (!c || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->peer, &len) < 0 ||
	    !peer_has_room(s, &c->peer)) {
		free(c);
		close(fd);
		return -EBUSY;
	}
	c->has_peer = true;
	c->server = s;
	c->pprev = &s->conns;
	c->next = s->conns;
	if (c->next)
		c->next->pprev = &c->next;
	s->conns = c;
	s->stats.conns++;
	c->adopting = true;
	c->wsi = lws_adopt_descriptor_vhost_via_info(&desc);
	c->adopting = false;
	if (!c->wsi || c->dead) {
		http_conn_free(c);
		return -ENOMEM;
	}
	http_conn_phase(c, CONN_HEAD);
	c->deadline = seconds_from_now(s, s->cfg.request_secs); /* the first head is due sooner */
	if (!uv_is_active((uv_handle_t *)&s->sweep))
		uv_timer_start(&s->sweep, sweep_due, HTTP_SWEEP_MS, HTTP_SWEEP_MS);
	return 0;
}

static void listener_readable(uv_poll_t *p, int status, int events);

/* Out of descriptors or memory: level-triggered polling would spin, so look again a sweep later. */
static void listener_resume(uv_timer_t *t)
{
	struct http_server *s = t->data;

	for (size_t i = 0; i < s->nlisteners; i++)
		uv_poll_start(&s->listeners[i]->poll, UV_READABLE, listener_readable);
	uv_timer_start(t, sweep_due, HTTP_SWEEP_MS, HTTP_SWEEP_MS);
}

static void listener_readable(uv_poll_t *p, int status, int events)
{
	struct http_listener *l = p->data;
	struct http_server *s = l->server;

	(void)events;
	if (status < 0)
		return;
	for (int budget = 16; budget > 0; budget--) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd < 0 && errno != EAGAIN) {
			uv_poll_stop(p);
			uv_timer_start(&s->sweep, listener_resume, HTTP_SWEEP_MS, 0);
		}
		if (fd < 0)
			return;
		if (conn_adopt(s, fd) < 0)
			s->stats.refused_conns++;
		else
			s->stats.accepted++;
	}
}

/* ---- listening ------------------------------------------------------------------------------- */

static void listener_free(struct http_listener *l)
{
	free(l->path);
	free(l);
}

/* Does somebody accept at this path? 0 the name is free to take, else what stands in the way. */
static int socket_path_check(const char *path, const struct sockaddr_un *sa)
{
	auto_close int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	return errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
}

/*
 * Binds under a temporary name with no more rights than asked, gives owner and mode, starts to
 * listen and renames: at `path` there is always either the old file or a working socket.
 */
static int socket_bind_at(int fd, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int r;

	if ((size_t)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s.new", path) >=
	    sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	r = socket_path_check(sa.sun_path, &sa);
	if (r < 0)
		return r;
	(void)unlink(sa.sun_path); /* bind tells */
	if (fchmod(fd, mode & 0600) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	if (((uid != (uid_t)-1 || gid != (gid_t)-1) && lchown(sa.sun_path, uid, gid) < 0) ||
	    chmod(sa.sun_path, mode) < 0 || listen(fd, HTTP_BACKLOG) < 0 ||
	    rename(sa.sun_path, path) < 0) {
		r = -errno;
		(void)unlink(sa.sun_path);
		return r;
	}
	return 0;
}

static int listen_fail(struct fail_list *f, int err, const char *path)
{
	switch (err) {
	case -EADDRINUSE:
		return fail_add(f, err, "server.socket-in-use", path, "a path that no program serves",
				"systemctl status cellwalld", "another program listens on the socket");
	case -ENOTSOCK:
		return fail_add(f, err, "server.socket-path", path, "a socket, or no file",
				"move the file away", "the socket's path is taken by a file of another kind");
	case -ENAMETOOLONG:
		return fail_add(f, err, "server.socket-path", path, "at most 103 bytes", NULL,
				"the socket's path is too long");
	default:
		return fail_add(f, err, "server.socket", path, "a directory that cellwalld may write", NULL,
				"cannot listen on the socket: %s", strerror(-err));
	}
}

int http_server_listen_unix(struct http_server *s, const char *path, mode_t mode, uid_t uid,
			    gid_t gid, struct fail_list *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct http_listener *l;
	struct stat st;
	auto_close int fd = -1;
	int r;

	if (s->nlisteners == HTTP_LISTENERS_MAX)
		return listen_fail(f, -ENOSPC, path);
	if (strlen(path) + sizeof(".new") > sizeof(sa.sun_path))
		return listen_fail(f, -ENAMETOOLONG, path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return listen_fail(f, -errno, path);
	r = socket_path_check(path, &sa);
	if (!r)
		r = socket_bind_at(fd, path, mode, uid, gid);
	if (r < 0)
		return listen_fail(f, r, path);
	l = calloc(1, sizeof(*l));
	if (l)
		l->path = strdup(path);
	if (!l || !l->path || lstat(path, &st) < 0) {
		(void)unlink(path);
		free(l);
		return listen_fail(f, -ENOMEM, path);
	}
	l->server = s;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	r = uv_poll_init(s->loop, &l->poll, fd);
	if (r < 0) {
		(void)unlink(path);
		listener_free(l);
		return listen_fail(f, r, path);
	}
	l->fd = take_fd(fd);
	l->poll.data = l;
	s->handles++;
	s->listeners[s->nlisteners++] = l;
	(void)uv_poll_start(&l->poll, UV_READABLE, listener_readable);
	return 0;
}

/* ---- shutdown -------------------------------------------------------------------------------- */

static void handle_closed(struct http_server *s)
{
	void (*done)(void *arg) = s->done;
	void *arg = s->done_arg;

	if (--s->handles)
		return;
	route_table_done(&s->routes);
	free(s);
	if (done)
		done(arg);
}

static void listener_closed(uv_handle_t *h)
{
	struct http_listener *l = h->data;
	struct http_server *s = l->server;

	close(l->fd);
	listener_free(l);
	handle_closed(s);
}

static void sweep_closed(uv_handle_t *h)
{
	handle_closed(h->data);
}

/*
 * The library drops its connections and starts to close its handles at the first destroy; those
 * of the second stage (its timers) it closes from the close callbacks of the first, and it frees
 * their memory at the second destroy whether their callbacks have run or not. Each tick of this
 * timer lies a whole turn of the loop after the last, so two ticks without connections are enough.
 * It is done from the loop and not in http_server_close(), which may stand in a handler, below
 * the library's own frames.
 */
static void destroy_due(uv_timer_t *t)
{
	struct http_server *s = t->data;

	if (s->destroy_ticks == 0) {
		s->destroy_ticks = 1;
		lws_context_destroy(s->ctx);
		/* It closes its wake-up descriptor now and once more in a callback: the number must
		 * not belong to anybody else by then. */
		if (s->wake_fd >= 0 && fcntl(s->wake_fd, F_GETFD) < 0)
			(void)fcntl(s->spare_fd, F_DUPFD_CLOEXEC, s->wake_fd);
		return;
	}
	if (s->conns || ++s->destroy_ticks < 4)
		return;
	if (s->ctx)
		lws_context_destroy(s->ctx);
	close(s->spare_fd);
	uv_close((uv_handle_t *)t, sweep_closed);
}

void http_server_close(struct http_server *s, void (*done)(void *arg), void *arg)
{
	if (!s || s->closing)
		return;
	s->closing = true;
	s->done = done;
	s->done_arg = arg;
	for (size_t i = 0; i < s->nlisteners; i++) {
		struct http_listener *l = s->listeners[i];
		struct stat st;

		if (lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
			(void)unlink(l->path);
		uv_close((uv_handle_t *)&l->poll, listener_closed);
	}
	s->nlisteners = 0;
	uv_timer_start(&s->sweep, destroy_due, 0, 1);
}
