"""Every key of a config, with its default and what it means.

A config file starts from `get_config()` and changes what its experiment
needs. Keys that are not here do not exist: writing one is an error. None means
"not set": the network's, data set's or task's own default holds.
"""

from __future__ import annotations

from ml_collections import ConfigDict, config_dict


def get_config() -> ConfigDict:
  """All keys."""
  c = ConfigDict()

  c.seed = 0  # of parameters, data order, augmentation, dropout
  c.steps = config_dict.placeholder(int)  # length of the run, in steps ...
  c.epochs = config_dict.placeholder(float)  # ... or in epochs; one of them
  c.accumulate = 1  # micro-batches per step; BatchNorm and Dice see these
  # Networks that end in an enlargement leave it to the loss, which makes strips
  # of rows: the same numbers, and no logits of the size of the image.
  c.fused_loss = True
  # What is computed again in the backward pass, to save memory: '' nothing,
  # 'blocks' every block, or a regular expression of paths of modules, such as
  # '^encoder/layer[12]'.
  c.remat = ""
  c.ema_decay = 0.0  # averaged parameters for evaluation; 0: none
  c.devices = 0  # how many to use; 0: all
  c.mesh = ConfigDict()  # docs/scaling.md
  # Over how many devices each image's rows are spread; the rest share examples.
  c.mesh.space = 1
  c.mesh.fsdp = False  # parameters and moments spread over devices, too
  c.convolutions = "auto"  # direct, xla: jaxseg/ops/direct.py, on a CPU
  c.log_every = 20  # steps per line of metrics.jsonl
  c.tensorboard = True  # event files under WORKDIR/tensorboard
  c.audit = True  # look at the training labels, or depth, before step 1

  c.data = ConfigDict()
  c.data.name = "scenes"  # scenes, pets, camvid, cityscapes, bsds500, faces,
  # lsp, folder, scenes_clips, seven_scenes, midair, kitti_depth,
  # dubai_aerial, semantic_drone
  c.data.data_dir = config_dict.placeholder(str)  # TFDS directory
  c.data.size = (128, 128)  # (h, w) that the network works at
  c.data.batch_size = 16  # global
  c.data.augment = "resize|flip"  # training transforms
  # 'resize' stretches to size, 'pad' keeps the scale, 'person' is the crop
  # around the largest person (task keypoints).
  c.data.eval = "resize"
  c.data.train_split = config_dict.placeholder(str)  # TFDS expressions that
  c.data.val_split = config_dict.placeholder(str)  # replace the data set's
  c.data.test_split = config_dict.placeholder(str)  # own
  # (('depth', 0.5), ...): share of the training examples that keep a field.
  c.data.keep = ()
  # Clips, for data sets with sequences; a task of single images is evaluated on
  # the frames of these clips but for the first of each.
  c.data.frames = config_dict.placeholder(int)  # of a clip; None: 4, or stills
  c.data.step = 1  # frames from one to the next
  c.data.eval_frames = config_dict.placeholder(int)  # None: data.frames
  c.data.threads = 0  # reading threads; 0: one per core
  # Megabytes of decoded training examples to keep in memory, for sets that fit:
  # each is decoded once. 0: none.
  c.data.cache_mb = 0.0
  # data.name = 'folder': your own images and masks.
  c.data.images = ""  # folder of images
  c.data.masks = ""  # folder of masks with the same names
  c.data.classes = ""  # names with commas: 'background,cat,dog'
  c.data.ids = ()  # id of each class in the masks; (): 0, 1, 2 ...
  c.data.ignore_ids = ()  # ids in the masks that are ignored, beside 255
  c.data.colors = ()  # '#rrggbb' of each class, if masks hold colours
  c.data.split_dir = ""  # folder of train.txt, val.txt, test.txt
  c.data.val_fraction = 0.1  # without split_dir: held out, seeded by `seed`

  c.task = ConfigDict()
  c.task.name = "semantic"  # jaxseg.tasks.TASKS
  c.task.losses = config_dict.placeholder(tuple)  # names, or 'dice*0.5'
  # Several tasks on one network (name = 'multi'): losses are then
  # 'depth/l1*0.1', other options go to the tasks that have them.
  c.task.tasks = config_dict.placeholder(tuple)  # such as ('semantic', 'depth')
  c.task.weights = config_dict.placeholder(tuple)  # of their losses
  c.task.weighting = config_dict.placeholder(str)  # fixed, learned
  c.task.aux_weight = config_dict.placeholder(float)
  c.task.min_m = config_dict.placeholder(float)  # depth: nearest, metres
  c.task.max_m = config_dict.placeholder(float)  # depth: farthest, metres
  c.task.crop = config_dict.placeholder(str)  # depth metrics: none, garg ..
  c.task.average = config_dict.placeholder(str)  # depth metrics: pixels, images
  c.task.median_scaling = config_dict.placeholder(bool)  # depth metrics
  c.task.log_unit = config_dict.placeholder(float)  # depth: unit of log-depth
  c.task.bins = config_dict.placeholder(int)  # depth_bins, _ordinal, _adaptive
  c.task.spacing = config_dict.placeholder(str)  # of bins: sid, uniform
  # depth_bins: expectation, argmax; keypoints: argmax, quarter, soft
  c.task.decode = config_dict.placeholder(str)
  # denoising: gaussian, salt_pepper, pixels, patches (hidden ones)
  c.task.noise = config_dict.placeholder(str)
  # Deviation in units of [0, 1], such as 25/255, or share of pixels.
  c.task.level = config_dict.placeholder(float)
  c.task.patch = config_dict.placeholder(int)  # of 'patches': pixels a side
  c.task.residual = config_dict.placeholder(bool)  # predicts the noise (DnCNN)
  # boundaries:
  # Share of the people who drew a line, from which on a pixel is on it.
  c.task.agreement = config_dict.placeholder(float)
  c.task.tolerance = config_dict.placeholder(float)  # of metrics, in pixels
  # superpixels:
  c.task.channels = config_dict.placeholder(int)  # of the features
  c.task.step = config_dict.placeholder(float)  # side of a cell, in pixels
  c.task.rounds = config_dict.placeholder(int)  # of the clustering
  c.task.place = config_dict.placeholder(float)  # what a step counts
  c.task.colour = config_dict.placeholder(float)  # what a unit of Lab counts
  c.task.labels = config_dict.placeholder(int)  # regions of a picture, at most
  c.task.compactness = config_dict.placeholder(float)  # weight of that loss
  # colorization:
  c.task.grid = config_dict.placeholder(float)  # side of a colour bin, in Lab
  c.task.neighbours = config_dict.placeholder(int)  # bins that share a truth
  c.task.temperature = config_dict.placeholder(float)  # of the annealed mean
  # File of each bin's frequency, as jaxseg.data.colors writes it; None: all
  # colours weigh the same.
  c.task.prior = config_dict.placeholder(str)
  c.task.uniform = config_dict.placeholder(float)  # the paper's lambda
  c.task.skip_grey = config_dict.placeholder(bool)  # grey pictures do not train
  # clicks:
  c.task.click_map = config_dict.placeholder(str)  # distance, disc
  c.task.click_reach = config_dict.placeholder(float)  # pixels
  c.task.click_step = config_dict.placeholder(float)  # pixels
  c.task.clicks = config_dict.placeholder(int)  # most in an evaluation
  # Of each class's probability before the argmax; to be chosen on val.
  c.task.decision_weights = config_dict.placeholder(tuple)
  # semantic: pixels that a boundary may be off, for boundary_f in evaluation.
  c.task.boundary = config_dict.placeholder(float)
  # keypoints:
  c.task.method = config_dict.placeholder(str)  # heatmap, one_hot, direct
  c.task.stride = config_dict.placeholder(int)  # pixels a side of a map's cell
  # Of the Gaussians, in cells; colorization: of how bins share a truth, in Lab.
  c.task.sigma = config_dict.placeholder(float)
  c.task.alpha = config_dict.placeholder(float)  # PCK: share of the length
  # cross_entropy:
  c.task.label_smoothing = config_dict.placeholder(float)
  c.task.class_weights = config_dict.placeholder(tuple)  # one per class
  c.task.reduction = config_dict.placeholder(str)  # mean, sum (per image)
  c.task.normalization = config_dict.placeholder(str)  # weights, pixels

  # What the answers are good for, beside the task's own measures and pictures.
  c.application = ConfigDict()
  c.application.name = config_dict.placeholder(str)  # landing; None: nothing
  # landing: where a drone may land, for semantic classes.
  c.application.safe = config_dict.placeholder(tuple)  # names of classes
  # (('person', 5.0), ...): metres to keep from classes that are not safe.
  c.application.margins = config_dict.placeholder(tuple)
  c.application.min_radius_m = config_dict.placeholder(float)  # of a disc
  c.application.count = config_dict.placeholder(int)  # of discs, at most
  # Of a camera that looks straight down: metres above ground, and focal length
  # in pixels of the images; or metres per pixel.
  c.application.altitude_m = config_dict.placeholder(float)
  c.application.focal_px = config_dict.placeholder(float)
  c.application.metres_per_pixel = config_dict.placeholder(float)
  # Largest probability of unsafe classes in a disc; None: the labels decide.
  c.application.max_risk = config_dict.placeholder(float)

  # A method without parameters, in the place of a network and a task: eval and
  # predict read it, `data`, `eval` and `predict`, and nothing else. Or one that
  # goes on from the trained network of this config in eval and predict:
  # learned_lines, learned_ucm (task boundaries), learned_slic (superpixels).
  c.method = ConfigDict()
  c.method.name = config_dict.placeholder(str)  # jaxseg.methods
  c.method.segments = config_dict.placeholder(int)  # slic: about how many
  c.method.compactness = config_dict.placeholder(float)  # slic, units of Lab
  c.method.adaptive = config_dict.placeholder(bool)  # slic: SLICO
  # learned_slic: pieces below this share of the mean size join a neighbour
  c.method.smallest = config_dict.placeholder(float)
  # gpb, ucm, mcg: eigenvectors at half the size
  c.method.shrink = config_dict.placeholder(bool)
  # gpb, ucm, mcg, learned: in benchmarks; and what is shown
  c.method.thresholds = config_dict.placeholder(int)
  c.method.level = config_dict.placeholder(float)
  # mcg: of the picture's size, the finest first; how many are written
  c.method.scales = config_dict.placeholder(tuple)
  c.method.proposals = config_dict.placeholder(int)

  c.model = ConfigDict()
  # A published network (jaxseg.models.MODELS), or with `encoder.name` a
  # decoder of the kit: unet, linknet, fpn, pspnet, deeplabv3, deeplabv3plus.
  c.model.name = "unet"
  # Of the whole network: a file, a name, or the workdir of an earlier run ...
  c.model.weights = config_dict.placeholder(str)
  c.model.missing = ()  # ... and modules that it lacks: they start untrained
  # Layers of model.weights that were made for other classes: error, fresh.
  c.model.classes = "error"
  c.model.dtype = config_dict.placeholder(str)  # float32, bfloat16
  # Options of networks; one that the network does not have is refused.
  c.model.width = config_dict.placeholder(int)  # channels of the first stage
  c.model.widths = config_dict.placeholder(tuple)  # kit's unet: per stage
  c.model.depth = config_dict.placeholder(int)  # number of poolings, or layers
  # (h, w) that a network with fully connected layers is made for: eigen, dorn.
  c.model.input_size = config_dict.placeholder(tuple)
  c.model.norm = config_dict.placeholder(str)  # none, batch, group
  c.model.batch_norm = config_dict.placeholder(bool)  # fcn, segnet, deconvnet
  c.model.frozen_norm = config_dict.placeholder(bool)  # segnet, deconvnet
  c.model.normalization = config_dict.placeholder(str)  # none, imagenet, caffe
  c.model.dropout = config_dict.placeholder(float)
  c.model.padding = config_dict.placeholder(str)  # unet: same, valid
  c.model.mirror = config_dict.placeholder(bool)  # unet, valid: see mode tile
  c.model.up = config_dict.placeholder(
    str
  )  # unet: tconv2, tconv3, bilinear, ..
  c.model.dropout_at = config_dict.placeholder(str)  # unet: bottom, every
  c.model.conv_bias = config_dict.placeholder(bool)  # unet
  c.model.extra_conv = config_dict.placeholder(bool)  # unet
  # A decoder for every head: a decoder on an encoder, and several tasks.
  c.model.own_decoders = config_dict.placeholder(bool)
  c.model.center = config_dict.placeholder(bool)  # kit's unet: a bottom block
  c.model.fc_width = config_dict.placeholder(int)  # channels of fc6, fc7
  c.model.zero_init = config_dict.placeholder(bool)  # fcn: score layers
  c.model.at_once = config_dict.placeholder(bool)  # fcn: scaled skips
  c.model.learned_upscore = config_dict.placeholder(bool)  # fcn
  c.model.output_stride = config_dict.placeholder(int)  # of the encoder
  c.model.aux = config_dict.placeholder(bool)  # auxiliary head in training
  c.model.aux_width = config_dict.placeholder(int)
  c.model.rates = config_dict.placeholder(tuple)  # deeplab: dilations of ASPP
  c.model.separable = config_dict.placeholder(bool)  # deeplab
  c.model.low_width = config_dict.placeholder(int)  # deeplabv3plus: skip
  c.model.bins = config_dict.placeholder(tuple)  # pspnet
  c.model.pool_width = config_dict.placeholder(int)  # pspnet
  c.model.pyramid_width = config_dict.placeholder(int)  # fpn
  c.model.merge = config_dict.placeholder(str)  # kit's fpn: add, cat
  c.model.context = config_dict.placeholder(str)  # dilated_vgg: basic, large
  c.model.grid = config_dict.placeholder(int)  # hypercolumn, regressor
  c.model.patch = config_dict.placeholder(int)  # patch, adabins: pixels a side
  c.model.border = config_dict.placeholder(str)  # patch
  c.model.kernel = config_dict.placeholder(int)  # segnet_basic, farabet ...
  c.model.levels = config_dict.placeholder(int)  # farabet
  # farabet, regressor, dorn, adabins: channels in between
  c.model.hidden = config_dict.placeholder(int)
  c.model.instances = config_dict.placeholder(int)  # pinheiro
  c.model.code = config_dict.placeholder(int)  # autoencoder: channels
  # colorization: logits at stride 4; adabins: heads at stride 2
  c.model.coarse = config_dict.placeholder(bool)
  c.model.scales = config_dict.placeholder(int)  # eigen: 2 or 3
  c.model.image_width = config_dict.placeholder(int)  # eigen: 9x9 of scale 2
  c.model.feature_scale = config_dict.placeholder(float)  # eigen
  c.model.window = config_dict.placeholder(int)  # dorn: full-image averages
  c.model.embed = config_dict.placeholder(int)  # adabins: of the transformer
  c.model.heads = config_dict.placeholder(int)  # adabins: of the attention
  c.model.queries = config_dict.placeholder(int)  # adabins
  c.model.positions = config_dict.placeholder(int)  # adabins
  c.model.linear = config_dict.placeholder(bool)  # autoencoder

  # A random field behind the network, trained with it (CRF-RNN); task
  # semantic. Where its weights start; inference.crf says what the others are.
  c.model.crf = ConfigDict()
  c.model.crf.iterations = 0  # in training, such as 5; 0: no field
  c.model.crf.test_iterations = 10
  c.model.crf.bilateral_weight = 10.0
  c.model.crf.bilateral_deviation = 80.0
  c.model.crf.color_deviation = 13.0
  c.model.crf.smooth_weight = 3.0
  c.model.crf.smooth_deviation = 3.0
  c.model.crf.normalization = "symmetric"
  c.model.crf.filter = "lattice"

  c.model.encoder = ConfigDict()  # networks on an encoder, and the kit
  c.model.encoder.name = config_dict.placeholder(
    str
  )  # jaxseg.encoders.ENCODERS
  c.model.encoder.weights = config_dict.placeholder(str)  # a file, or a name
  c.model.encoder.in_channels = "error"  # of other weights: error, mean, tile
  c.model.encoder.normalization = config_dict.placeholder(str)
  c.model.encoder.frozen_norm = config_dict.placeholder(bool)
  c.model.encoder.width = config_dict.placeholder(float)
  c.model.encoder.padding = config_dict.placeholder(str)  # torch, tf
  c.model.encoder.stem = config_dict.placeholder(str)  # resnet: 7x7, deep
  c.model.encoder.stride_at = config_dict.placeholder(str)  # resnet: 3x3, 1x1
  c.model.encoder.use_bias = config_dict.placeholder(bool)  # resnet
  c.model.encoder.valid_stem = config_dict.placeholder(bool)  # xception
  c.model.encoder.momentum = config_dict.placeholder(float)  # of statistics
  c.model.encoder.epsilon = config_dict.placeholder(float)  # in normalisations
  c.model.encoder.multi_grid = config_dict.placeholder(tuple)
  c.model.encoder.dilate_first = config_dict.placeholder(bool)
  c.model.encoder.drop_path = config_dict.placeholder(float)  # efficientnet

  c.optim = ConfigDict()
  c.optim.name = "adamw"  # sgd, adam, adamw
  c.optim.lr = 1e-3
  c.optim.schedule = "cosine"  # constant, poly, cosine, step
  c.optim.warmup_steps = 0
  c.optim.power = 0.9  # poly
  c.optim.final_lr_ratio = 0.0  # poly, cosine
  c.optim.step_at = (0.6, 0.8)  # step: shares of the run
  c.optim.step_factor = 0.1
  c.optim.momentum = 0.9  # SGD's; Adam's b1
  c.optim.b2 = 0.999
  c.optim.nesterov = False
  c.optim.weight_decay = 1e-4
  c.optim.decay_all = False  # decay biases and norms too
  c.optim.clip_norm = 0.0  # 0: no clipping
  # (('^encoder/', 0.1), ...): rate factors; 0 freezes. A third entry is the
  # number of steps for which it stays frozen: (('^encoder/', 0.1, 500),).
  c.optim.rules = ()

  c.eval = ConfigDict()
  c.eval.every = 500  # steps
  c.eval.batch_size = config_dict.placeholder(int)  # None: data.batch_size
  c.eval.limit = 0  # evaluate the first n examples; 0: all
  c.eval.split = config_dict.placeholder(str)  # --mode=eval; None: test or val
  c.eval.checkpoint = "best"  # --mode=eval, predict, export: best or latest

  c.checkpoint = ConfigDict()
  c.checkpoint.every = 500  # steps
  c.checkpoint.keep = 2  # newest ones that are kept, beside the best
  c.checkpoint.best = config_dict.placeholder(str)  # 'miou', '-rmse'; None:
  # the task's own

  c.inference = ConfigDict()  # eval, predict and export alike
  c.inference.mode = "whole"  # whole, slide, tile
  c.inference.window = (512, 512)  # slide, tile
  c.inference.overlap = 0.5  # slide
  c.inference.margin = 0  # tile: pixels that the network eats per border
  c.inference.stride = 1  # tile: total stride of the network
  c.inference.scales = (1.0,)
  c.inference.flip = False
  c.inference.views = "image"  # scales and flip are of the image, or of each
  # "window", which config.export.sizes = "any" wants where windows slide.
  # A fully connected random field over the classes; task semantic.
  c.inference.crf = ConfigDict()
  c.inference.crf.iterations = 0  # of the mean field, such as 5; 0: no field
  c.inference.crf.bilateral_weight = 10.0  # of pixels near in place and colour
  c.inference.crf.bilateral_deviation = 80.0  # pixels
  c.inference.crf.color_deviation = 13.0  # levels of 255
  c.inference.crf.smooth_weight = 3.0  # of pixels near in place
  c.inference.crf.smooth_deviation = 3.0  # pixels
  c.inference.crf.normalization = "symmetric"  # symmetric, none
  # lattice; exact costs the square of the number of pixels.
  c.inference.crf.filter = "lattice"

  c.predict = ConfigDict()
  c.predict.images = ()  # files, globs, folders (or after the flags) ...
  c.predict.split = config_dict.placeholder(str)  # ... or a split of the data
  c.predict.limit = 0  # of that split or stream, the first n; 0: all
  # Networks of clips stream one folder of frames, in the order of their names.
  c.predict.camera = ""  # camera.json; "": in the folder or above it
  c.predict.poses = ""  # poses.csv; likewise
  c.predict.clicks = ""  # task clicks: a JSON file, see jaxseg/clicked.py
  c.predict.out = ""  # folder; '': WORKDIR/predictions

  c.export = ConfigDict()
  # fixed: images of one size go in, any number at once; any: one image of any
  # size, piece by piece (jaxseg/anysize.py); python -m jaxseg.predict reads
  # both.
  c.export.sizes = "fixed"
  c.export.size = config_dict.placeholder(tuple)  # (h, w); None: data.size
  return c.lock()  # a config file that misspells a key is refused
