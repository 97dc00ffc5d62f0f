/* SPDX-License-Identifier: Apache-2.0 */
/*
 * escape.h - inside of the topology room: hostile names in the text of each format.
 *
 * For people, control, bidi and zero-width characters are written as \u{202e}, and a backslash
 * of the name itself as \u{5c}, so that two different names never look or compare the same.
 */
#pragma once

struct buf;

void esc_visible(struct buf *b, const char *s);	  /* plain text: comments, terminal */
void esc_dot(struct buf *b, const char *s);	  /* between the quotes of an id, label or tooltip */
void esc_json(struct buf *b, const char *s);	  /* between the quotes; also safe inside HTML */
void esc_xml(struct buf *b, const char *s);	  /* text or attribute value */
void esc_xml_comment(struct buf *b, const char *s); /* no "--" comes out */
void esc_mermaid(struct buf *b, const char *s);	  /* between the quotes of a label */
void esc_mermaid_id(struct buf *b, const char *s); /* a node id: letters, digits, _hex_ */
void esc_csv(struct buf *b, const char *s);	  /* a whole field, quoted where needed, never a formula */
