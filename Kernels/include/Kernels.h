// The text of every kernel, part of the binary.
#pragma once

// One file of this folder.
struct KernelText {
  // Its path in this folder, such as `portable/add.cl`; null behind the last one.
  const char *_Nullable name;
  const char *_Nullable text;
};

// All files, ended by one without a name.
extern const struct KernelText *_Nonnull const KernelTexts;
