/* Texts that grow, and the values of a JSON text. */
#ifndef TEXT_H
#define TEXT_H
#include <stdarg.h>
#include <stddef.h>

/* Its bytes, which end with NUL; their number without the NUL; the allocated bytes. */
struct text { char *at; size_t len, room; };

void text_add(struct text *text, const char *bytes, size_t len);
void text_format(struct text *text, const char *form, ...) __attribute__((format(printf, 2, 3)));
/* Adds it percent-encoded, as a value in a query (RFC 3986). */
void text_add_escaped(struct text *text, const char *value);
/* Remove the first bytes. An empty text frees its memory, as most connections are idle. */
void text_drop(struct text *text, size_t len);
void text_free(struct text *text);
/* Memory filled with 0; the process exits if there is none. */
void *allocated(size_t size);

/* The functions below take a pointer into a JSON text that ends with NUL.
 * The value of a member of the object at `object`; NULL: there is none, or it is not JSON. */
const char *json_member(const char *object, const char *name);
/* The first value of an array, and the value after `value` in it; NULL: there is none. */
const char *json_first(const char *array);
const char *json_next(const char *value);
int json_is_null(const char *value);
int json_is_true(const char *value);
/* An integer from 0 on; -1: it is none. */
long long json_number(const char *value);
/* Copies a string without escapes, cut off at `room` bytes. Returns whether it is one. */
int json_text(const char *value, char *into, size_t room);
#endif
