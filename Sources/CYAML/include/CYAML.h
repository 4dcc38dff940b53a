// The few entry points of libyaml that Recall calls, looked up in a library that is opened at run time. Just enough types to
// call them; their layout is that of every libyaml 0.1 and 0.2.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// A place in the text, counted from 0.
struct YAMLMark {
  size_t index;
  size_t line;
  size_t column;
};

// A parser. Only what it says about an error is for others; the rest is as large as any version needs, and more.
struct YAMLParser {
  int error;
  const char *_Nullable problem;
  size_t problemOffset;
  int problemValue;
  struct YAMLMark problemMark;
  const char *_Nullable context;
  struct YAMLMark contextMark;
  char rest[2048];
};

enum YAMLEventKind {
  YAMLNothing,
  YAMLStreamStart,
  YAMLStreamEnd,
  YAMLDocumentStart,
  YAMLDocumentEnd,
  YAMLAlias,
  YAMLScalar,
  YAMLSequenceStart,
  YAMLSequenceEnd,
  YAMLMappingStart,
  YAMLMappingEnd,
};

// An event of the parser, which owns its texts until it is deleted; all but that of a scalar end with a zero.
struct YAMLEvent {
  int kind;
  union {
    // Of an alias, a scalar, or the start of a sequence or mapping.
    unsigned char *_Nullable anchor;
    struct {
      unsigned char *_Nullable anchor;
      unsigned char *_Nullable tag;
    } node;
    struct {
      unsigned char *_Nullable anchor;
      unsigned char *_Nullable tag;
      unsigned char *_Nullable value;
      size_t length;
      int isPlain;  // whether a plain scalar without a tag may mean something else than its text
      int isQuoted;
      int style;
    } scalar;
  };
  struct YAMLMark start;
  struct YAMLMark end;
};

// An open library, which is never closed. Calls that may fail return 0 then.
struct YAMLLibrary {
  void (*_Nonnull version)(int *_Nonnull major, int *_Nonnull minor, int *_Nonnull patch);
  int (*_Nonnull initialize)(struct YAMLParser *_Nonnull parser);
  void (*_Nonnull destroy)(struct YAMLParser *_Nonnull parser);
  // The text has to stay where it is until the parser is destroyed.
  void (*_Nonnull setInput)(struct YAMLParser *_Nonnull parser, const unsigned char *_Nonnull text, size_t byteCount);
  int (*_Nonnull parse)(struct YAMLParser *_Nonnull parser, struct YAMLEvent *_Nonnull event);
  void (*_Nonnull deleteEvent)(struct YAMLEvent *_Nonnull event);
};

// Opens a library by file name or path. Returns false and a reason that names the library when that fails.
bool YAMLOpen(
    const char *_Nonnull name, struct YAMLLibrary *_Nonnull library, char *_Nonnull reason, size_t reasonCapacity);
