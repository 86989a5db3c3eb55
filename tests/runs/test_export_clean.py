"""An exported file in a process that has LiteRT and NumPy only: scores, labels, metadata."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from dna_tf.export import conversion, metadata
from dna_tf.models import litert
from tests.helpers import small_exports

ROOT = pathlib.Path(__file__).resolve().parents[2]

# As an application would: the interpreter, the archive behind the model, nothing of this project.
PLAIN = """
import io, json, sys, zipfile
import numpy as np
from ai_edge_litert.interpreter import Interpreter

content = open(sys.argv[1], "rb").read()
labels = zipfile.ZipFile(io.BytesIO(content)).read("labels.txt").decode().splitlines()
lite = Interpreter(model_path=sys.argv[1])
lite.allocate_tensors()
(inputs,), (outputs,) = lite.get_input_details(), lite.get_output_details()
answers, scores = [], []
for image in np.load(sys.argv[2]):
    scale, zero_point = inputs["quantization"]
    if scale:
        limits = np.iinfo(inputs["dtype"])
        image = np.clip(np.rint(image / scale) + zero_point, limits.min, limits.max)
    lite.set_tensor(inputs["index"], image[None].astype(inputs["dtype"]))
    lite.invoke()
    raw = lite.get_tensor(outputs["index"])[0].astype(np.float32)
    scale, zero_point = outputs["quantization"]
    scores.append(((raw - zero_point) * scale if scale else raw).tolist())
    answers.append(labels[int(raw.argmax())])
heavy = [n for n in sys.modules if n.split(".")[0] in ("tensorflow", "keras", "tf_keras", "dna_tf")]
print(json.dumps({"answers": answers, "scores": scores, "heavy": heavy}))
"""

# With this project's readers, which need no TensorFlow either.
OWN = """
import json, sys
import numpy as np
from dna_tf.export import metadata, operators
from dna_tf.models import litert

content = open(sys.argv[1], "rb").read()
contents = metadata.read(content)
scores = litert.TFLitePredictor(content, sys.argv[1]).scores(np.load(sys.argv[2]))
heavy = [n for n in sys.modules if n.split(".")[0] in ("tensorflow", "keras", "tf_keras")]
answers = [contents["labels"][n] for n in scores.argmax(1)]
counted = operators.inspect(content)["operators"]["CONV_2D"]
print(json.dumps({"answers": answers, "scores": scores.tolist(), "heavy": heavy,
                  "precision": contents["description"]["precision"],
                  "mean": contents["metadata"]["mean"], "convolutions": counted}))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder, images = tmp_path_factory.mktemp("files"), small_exports.IMAGES
    model = small_exports.tiny_student()
    names = ["red", "green", "blue", "dark", "light"]
    for precision in ("float32", "int8", "int16"):
        content = conversion.convert(model, precision, images, "uint8")
        description = {
            "name": "tiny", "text": "", "image_size": 16, "channels": 3, "mean": [0.0],
            "std": [1.0], "class_names": names, "precision": precision,
        }  # fmt: skip
        (folder / precision).write_bytes(metadata.write(content, description))
    np.save(folder / "images.npy", images[:8])
    return folder, names


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_program_of_the_guide_runs(exported, tmp_path, precision):
    folder, names = exported
    guide = (ROOT / "docs" / "guide" / "phone.md").read_text()
    program = guide.split("```python\n")[1].split("```")[0]
    program += "import sys\nassert not {'tensorflow', 'keras', 'dna_tf'} & set(sys.modules)\n"
    (tmp_path / "int8.tflite").write_bytes((folder / precision).read_bytes())
    scores = litert.TFLitePredictor((folder / precision).read_bytes(), "here")
    for number in range(3):
        image = small_exports.IMAGES[number : number + 1].astype(np.uint8)
        PIL.Image.fromarray(image[0]).save(tmp_path / "photo.jpg", "PNG")  # read by its content
        words = [sys.executable, "-c", program]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        expected = names[int(scores.scores(image.astype(np.float32)).argmax())]
        assert done.stdout.splitlines()[-1] == expected


@pytest.mark.parametrize("precision", ["float32", "int8", "int16"])
@pytest.mark.parametrize("program", [PLAIN, OWN], ids=["plain", "own"])
def test_a_file_runs_without_tensorflow(exported, precision, program):
    folder, names = exported
    path = folder / precision
    words = [sys.executable, "-c", program, str(path), str(folder / "images.npy")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout.splitlines()[-1])
    assert output["heavy"] == []
    scores = litert.TFLitePredictor(path.read_bytes(), "here").scores(small_exports.IMAGES[:8])
    np.testing.assert_allclose(output["scores"], scores, rtol=1e-5, atol=1e-6)
    assert output["answers"] == [names[n] for n in scores.argmax(1)]
    assert len(set(output["answers"])) > 1
    if program is OWN:
        assert (output["precision"], output["mean"]) == (precision, [0.0])
        assert output["convolutions"] == 17
