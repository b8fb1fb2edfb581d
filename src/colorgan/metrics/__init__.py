"""Every metric, once: per photo, batched, on the device that the photos are on.

`fidelity` compares pixels, `colorfulness` says how much color there is and where none should be, `auc` is Zhang et
al.'s pair, `bleeding` is about edges. `registry` joins them into one table and one measurement. docs/evaluation.md
defines them.
"""
