// The carrier of the precompiled LibTorch headers; it has no content of its own.
