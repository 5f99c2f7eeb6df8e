from autodenoise.benchmark import run_benchmark as run_benchmark
from autodenoise.errors import AutodenoiseError as AutodenoiseError
from autodenoise.errors import InputError as InputError
from autodenoise.errors import Interrupted as Interrupted
from autodenoise.errors import MissingExtra as MissingExtra
from autodenoise.errors import OutputError as OutputError
from autodenoise.errors import ProcessLost as ProcessLost
from autodenoise.errors import TrainingDiverged as TrainingDiverged
from autodenoise.errors import UsageError as UsageError
from autodenoise.images import IntensityRange as IntensityRange
from autodenoise.noise_estimation.profile_file import profile_noise as profile_noise
from autodenoise.recipes import OwnData as OwnData
from autodenoise.recipes import Recipe as Recipe
from autodenoise.runs import Run as Run
from autodenoise.runs import classify as classify
from autodenoise.runs import compare as compare
from autodenoise.runs import decode as decode
from autodenoise.runs import draw as draw
from autodenoise.runs import encode as encode
from autodenoise.runs import estimate as estimate
from autodenoise.runs import evaluate as evaluate
from autodenoise.runs import find_outliers as find_outliers
from autodenoise.runs import quantize as quantize
from autodenoise.runs import resume as resume
from autodenoise.runs import train as train
from autodenoise.runs.imports import import_keras as import_keras
from autodenoise.runtime import Card as Card
from autodenoise.runtime import DenoiseOptions as DenoiseOptions
from autodenoise.runtime import Model as Model
from autodenoise.runtime import denoise as denoise
from autodenoise.runtime import denoise_file as denoise_file
from autodenoise.runtime import denoise_folder as denoise_folder
from autodenoise.runtime import load as load
from autodenoise.tuning.search import tune as tune

__all__: list[str]
__version__: str
