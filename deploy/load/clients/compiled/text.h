/* Growing texts, and values found in JSON. */
#ifndef TEXT_H
#define TEXT_H
#include <stdarg.h>
#include <stddef.h>

struct text { char *at; size_t len, room; };

void text_add(struct text *text, const char *bytes, size_t len);
void text_format(struct text *text, const char *form, ...) __attribute__((format(printf, 2, 3)));
/* Percent-encoded as a value of a query (RFC 3986). */
void text_add_escaped(struct text *text, const char *value);
/* Drop what stands first. An empty text gives its memory back: most connections are at rest. */
void text_drop(struct text *text, size_t len);
void text_free(struct text *text);
void *allocated(size_t size);

/* The value of a member of the object that begins here, or NULL: there is none, or it is not JSON.
 * The text ends with NUL, and so does each search at the latest. */
const char *json_member(const char *object, const char *name);
/* The first value of an array, the one after a value of it, or NULL. */
const char *json_first(const char *array);
const char *json_next(const char *value);
int json_is_null(const char *value);
int json_is_true(const char *value);
/* A number from 0 up, or -1. */
long long json_number(const char *value);
/* A text without escapes, cut to the room. Returns whether it was one. */
int json_text(const char *value, char *into, size_t room);
#endif
