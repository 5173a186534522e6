"""The built-in provider of kind `echo`: answers in process with the words it was asked with."""
