// The carrier of the tests' precompiled headers; never run.
int main() {}
