"""The labeling queue under load: `make bench-queue`. What is measured and how is in docs/benchmarks.md."""
