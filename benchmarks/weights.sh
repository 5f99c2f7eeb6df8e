#!/usr/bin/env bash
# How each model that comes with autodenoise was made, from the training photos to the file.
#
# Run from the checkout's root, with the extra [train] and $AUTODENOISE_DATA. The minutes are those
# that were spent; a machine with more of them, or with a GPU, should take more: --minutes stretches
# the schedule. Each run here had one core, so two can go side by side; Ctrl-C, then
# `autodenoise train --resume`, goes on with any of them.
set -euo pipefail
export OMP_NUM_THREADS=1

# Grey had no level at 1/16 of the sides until its seventh sitting.
shallow=(--set network.deep=0)
slower=(--set phase.squares.optimizer.learning_rate=0.004
        --set phase.squares.optimizer.adamw_learning_rate=1e-3)
# The last one on the photos as they are, neither shrunk nor with other colours.
steps='optimizer={kind="muon", learning_rate=0.002, adamw_learning_rate=5e-4}, '
steps+='schedule={kind="cosine", warmup=0.02}, clip=1.0, average=0.999, precision="bfloat16"'
tune=(--set data.shrink=1.0 --set data.shuffle_channels=false --set 'search={}'
      --set "phase={tune={epochs=20, batch_size=6, crop=128, loss='mse', $steps}}")

longer=("${tune[@]}" --set phase.tune.optimizer.learning_rate=0.003
        --set phase.tune.optimizer.adamw_learning_rate=7e-4)

# Larger crops, which have fewer borders, for the last sitting of grey and for balanced.
sixth=("${tune[@]}" --set phase.tune.batch_size=4 --set phase.tune.crop=192
       --set phase.tune.optimizer.learning_rate=0.004
       --set phase.tune.optimizer.adamw_learning_rate=1e-3)
grown=("${tune[@]}" --set phase.tune.batch_size=4 --set phase.tune.crop=160
       --set phase.tune.optimizer.learning_rate=0.005
       --set phase.tune.optimizer.adamw_learning_rate=1.5e-3)
again=("${grown[@]}" --set phase.tune.optimizer.learning_rate=0.004
       --set phase.tune.optimizer.adamw_learning_rate=1e-3)

# A first sitting from random weights, then more, each from what the one before has learnt. The
# fourth and fifth had little more than half a core, since other work went on.
autodenoise train photo-fast-color --minutes 46 --out runs/color-1
autodenoise train photo-fast-color --from runs/color-1 --minutes 34 "${slower[@]}" --out runs/color-2
autodenoise train photo-fast-color --from runs/color-2 --minutes 15 "${tune[@]}" --out runs/color-3
autodenoise train photo-fast-color --from runs/color-3 --minutes 55 "${longer[@]}" --out runs/color-4
autodenoise train photo-fast-color --from runs/color-4 --minutes 75 "${longer[@]}" --out runs/color-5
autodenoise train photo-fast-gray --minutes 42 "${shallow[@]}" --out runs/gray-1
autodenoise train photo-fast-gray --from runs/gray-1 --minutes 37 "${slower[@]}" "${shallow[@]}" \
    --out runs/gray-2
autodenoise train photo-fast-gray --from runs/gray-2 --minutes 15 "${tune[@]}" "${shallow[@]}" \
    --out runs/gray-3
autodenoise train photo-fast-gray --from runs/gray-3 --minutes 40 "${longer[@]}" "${shallow[@]}" \
    --out runs/gray-4
autodenoise train photo-fast-gray --from runs/gray-4 --minutes 95 "${longer[@]}" "${shallow[@]}" \
    --out runs/gray-5
# Stopped by Ctrl-C after 87 minutes.
autodenoise train photo-fast-gray --from runs/gray-5 --minutes 121 "${sixth[@]}" "${shallow[@]}" \
    --out runs/gray-6
autodenoise train photo-fast-gray --from runs/gray-6 --minutes 108 "${sixth[@]}" --out runs/gray-7

# The balanced size, from the fast one's answers.
autodenoise train photo-balanced-color --from runs/color-5 --minutes 118 "${grown[@]}" \
    --out runs/balanced-color-1
autodenoise train photo-balanced-color --from runs/balanced-color-1 --minutes 117 "${again[@]}" \
    --out runs/balanced-color-2
autodenoise train photo-balanced-color --from runs/balanced-color-2 --minutes 115 "${again[@]}" \
    --out runs/balanced-color-3
autodenoise train photo-balanced-gray --from runs/gray-6 --minutes 118 "${grown[@]}" \
    --out runs/balanced-gray-1

# Real noise, from the first sitting's weights.
autodenoise train photo-real-color --from runs/color-1 --minutes 34 --out runs/real-1
autodenoise train photo-real-color --from runs/real-1 --minutes 52 --set 'search={}' --out runs/real-2

python benchmarks/ship.py runs/color-5 runs/gray-7 runs/real-2 runs/balanced-{color-3,gray-1}

# In 8 bits where that costs at most 0.05 dB on bsds-val32 at sigma 15, 25 and 50, which it does for
# all but the real one; with a balanced one they would be over 25 MB together.
python benchmarks/eight_bits.py -o runs/int8
python benchmarks/ship.py runs/int8/photo-{fast-color,fast-gray}-int8.onnx
python benchmarks/models_page.py
