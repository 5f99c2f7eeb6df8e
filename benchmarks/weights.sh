#!/usr/bin/env bash
# How each model that comes with autodenoise was made, from the training photos to the file.
#
# Run from the checkout's root, with the extra [train] and $AUTODENOISE_DATA. The minutes are those
# that were spent; a machine with more of them, or with a GPU, should take more: --minutes stretches
# the schedule. Each run here had one core, so two can go side by side; Ctrl-C, then
# `autodenoise train --resume`, goes on with any of them.
set -euo pipefail
export OMP_NUM_THREADS=1

slower=(--set phase.squares.optimizer.learning_rate=0.004
        --set phase.squares.optimizer.adamw_learning_rate=1e-3)

# A first sitting from random weights, and a second one from what that has learnt.
autodenoise train photo-fast-color --minutes 46 --out runs/color-1
autodenoise train photo-fast-color --from runs/color-1 --minutes 34 "${slower[@]}" --out runs/color-2
autodenoise train photo-fast-gray --minutes 42 --out runs/gray-1
autodenoise train photo-fast-gray --from runs/gray-1 --minutes 37 "${slower[@]}" --out runs/gray-2

# Real noise, from the first sitting's weights.
autodenoise train photo-real-color --from runs/color-1 --minutes 34 --out runs/real-1

python benchmarks/ship.py runs/color-2 runs/gray-2 runs/real-1
python benchmarks/models_page.py
