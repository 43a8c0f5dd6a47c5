"""The report in a real browser: for the tests, the benchmark, and the picture in the README."""
