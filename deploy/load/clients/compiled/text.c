#include "text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64

void *allocated(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) {
        fprintf(stderr, "load-clients: out of memory\n");
        exit(1);
    }
    return memory;
}

static void text_make_room(struct text *text, size_t more) {
    size_t need = text->len + more + 1; /* the NUL */
    if (need <= text->room) return;
    size_t room = text->room ? text->room : 512;
    while (room < need) room *= 2;
    char *at = realloc(text->at, room);
    if (!at) {
        fprintf(stderr, "load-clients: out of memory\n");
        exit(1);
    }
    text->at = at;
    text->room = room;
}

void text_add(struct text *text, const char *bytes, size_t len) {
    text_make_room(text, len);
    memcpy(text->at + text->len, bytes, len);
    text->len += len;
    text->at[text->len] = 0;
}

void text_format(struct text *text, const char *form, ...) {
    va_list values;
    va_start(values, form);
    int len = vsnprintf(NULL, 0, form, values);
    va_end(values);
    text_make_room(text, len);
    va_start(values, form);
    vsnprintf(text->at + text->len, len + 1, form, values);
    va_end(values);
    text->len += len;
}

void text_add_escaped(struct text *text, const char *value) {
    for (; *value; value++) {
        if (isalnum((unsigned char)*value) || strchr("-._~", *value))
            text_add(text, value, 1);
        else
            text_format(text, "%%%02X", (unsigned char)*value);
    }
}

void text_drop(struct text *text, size_t len) {
    if (len >= text->len) {
        text_free(text);
        return;
    }
    memmove(text->at, text->at + len, text->len - len + 1);
    text->len -= len;
}

void text_free(struct text *text) {
    free(text->at);
    *text = (struct text){0};
}

static const char *skip_space(const char *p) {
    return p + strspn(p, " \t\r\n");
}

/* Returns the end of the JSON string whose opening quote is at `p`; NULL: it does not end. */
static const char *skip_text(const char *p) {
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && !*++p) return NULL;
    return *p ? p + 1 : NULL;
}

/* Returns the end of the JSON value at `p`; NULL: it is not JSON. */
static const char *skip_value(const char *p, int depth) {
    p = skip_space(p);
    if (depth > MAX_DEPTH) return NULL;
    if (*p == '"') return skip_text(p);
    if (*p != '{' && *p != '[') {
        size_t len = strcspn(p, ",]} \t\r\n");
        return len ? p + len : NULL;
    }
    char end = *p == '{' ? '}' : ']';
    p = skip_space(p + 1);
    if (*p == end) return p + 1;
    for (;;) {
        if (end == '}') {
            if (*p != '"' || !(p = skip_text(p))) return NULL;
            p = skip_space(p);
            if (*p++ != ':') return NULL;
        }
        if (!(p = skip_value(p, depth + 1))) return NULL;
        p = skip_space(p);
        if (*p == end) return p + 1;
        if (*p++ != ',') return NULL;
        p = skip_space(p);
    }
}

const char *json_member(const char *object, const char *name) {
    if (!object) return NULL;
    const char *p = skip_space(object);
    size_t len = strlen(name);
    if (*p++ != '{') return NULL;
    for (;;) {
        p = skip_space(p);
        if (*p != '"') return NULL;
        const char *key = p + 1;
        if (!(p = skip_text(p))) return NULL;
        int is_wanted = (size_t)(p - 1 - key) == len && !memcmp(key, name, len);
        p = skip_space(p);
        if (*p++ != ':') return NULL;
        p = skip_space(p);
        if (is_wanted) return p;
        if (!(p = skip_value(p, 0))) return NULL;
        p = skip_space(p);
        if (*p++ != ',') return NULL;
    }
}

const char *json_first(const char *array) {
    if (!array || *array != '[') return NULL;
    const char *p = skip_space(array + 1);
    return *p && *p != ']' ? p : NULL;
}

const char *json_next(const char *value) {
    const char *p = skip_value(value, 0);
    if (!p) return NULL;
    p = skip_space(p);
    return *p == ',' ? skip_space(p + 1) : NULL;
}

int json_is_null(const char *value) {
    return value && !strncmp(value, "null", 4);
}

int json_is_true(const char *value) {
    return value && !strncmp(value, "true", 4);
}

long long json_number(const char *value) {
    if (!value || !isdigit((unsigned char)*value)) return -1;
    return strtoll(value, NULL, 10);
}

int json_text(const char *value, char *into, size_t room) {
    if (!value || *value != '"') return 0;
    size_t len = strcspn(value + 1, "\"\\");
    if (value[1 + len] != '"') return 0;
    if (len >= room) len = room - 1;
    memcpy(into, value + 1, len);
    into[len] = 0;
    return 1;
}
