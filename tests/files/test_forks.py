"""In processes of their own: the test's own must not be one from which forking is forbidden afterwards."""

import json
import subprocess
import sys

PROGRAM = """
import json, os, sys
sys.path.insert(0, {root!r})
import numpy as np
{before}
codes = []
for action in {in_children!r}:
    child = os.fork()
    if child == 0:
        try:
            exec(action)
        except RuntimeError as error:
            os._exit(7 if "forked" in str(error) and "spawn" in str(error) else 8)
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""
LOAD = "import deblur_zoo; model = deblur_zoo.load('one_step_lite'); picture = np.zeros((32, 32, 3), np.float32)"


def codes_of_children(before, in_children, root):
    program = PROGRAM.format(root=str(root), before=before, in_children=in_children)
    done = subprocess.run([sys.executable, "-c", program], timeout=240, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_a_model_is_not_run_after_a_fork(pytestconfig):
    actions = [
        "model.deblur(picture)",
        "model.predict(picture[None])",
        "model(picture[None])",
        "deblur_zoo.load('face_parser')",
        "from deblur_zoo.faces import detect; detect(picture.astype(np.uint8))",
        # What needs no model goes on.
        "from deblur_zoo.files import pictures; pictures.load(picture)",
    ]
    before = f"{LOAD}; model.predict(picture[None])"
    assert codes_of_children(before, actions, pytestconfig.rootpath) == [7, 7, 7, 7, 7, 0]


def test_a_model_may_be_loaded_after_a_fork(pytestconfig):
    assert codes_of_children("import deblur_zoo", [f"{LOAD}; model.deblur(picture)"], pytestconfig.rootpath) == [0]
