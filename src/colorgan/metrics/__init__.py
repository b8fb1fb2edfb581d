"""All metrics: per photo, batched, on the photos' device.

`fidelity` compares pixels, `colorfulness` measures how much color there is, also where none should be, `auc` is Zhang
et al.'s pair, `bleeding` is about edges. `registry` joins them into one table and one measurement. docs/evaluation.md
defines them.
"""
