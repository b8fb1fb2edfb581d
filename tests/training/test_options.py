from dataclasses import asdict, fields

from colorgan.training.options import FinetuneOptions
from colorgan.training.run_folder import BEFORE
from colorgan.training.train_options import TrainOptions


def test_the_reports_recipe_is_the_default_and_exact() -> None:
    options = TrainOptions.from_recipe({})
    assert options == TrainOptions() == TrainOptions.from_recipe({"recipe": "report"})
    assert (options.lr, options.d_lr, options.beta1, options.beta2) == (2e-4, 1e-4, 0.5, 0.999)
    assert (options.lambda_adversarial, options.lambda_l1, options.lambda_perceptual) == (1.0, 10.0, 10.0)
    assert (options.most_epochs, options.batch_size, options.size, options.checkpoint_every) == (50, 16, 256, 5)
    assert (options.adversarial, options.real_label, options.d_norm, options.g_twice) == ("bce", 0.9, "batch", True)
    assert (options.flip, options.crop_min, options.precision, options.drop_last) == (False, 1.0, "fp32", False)


def test_finetuning_starts_from_the_bundled_model_and_by_recipe_as_the_report_did() -> None:
    assert (FinetuneOptions().start, FinetuneOptions().loss) == ("compact", "bins")
    options = FinetuneOptions.from_recipe({"recipe": "report"})
    assert (options.start, options.loss, options.lr, options.batch_size) == ("eccv16", "mse", 1e-4, 16)
    assert (options.most_epochs, options.size, options.schedule, options.ema) == (3, 256, "constant", 0.0)
    assert (options.flip, options.crop_min, options.precision, options.drop_last) == (False, 1.0, "fp32", False)


# Options that the report's recipes do not use, at their neutral values; and those that do not affect the result.
NOT_THE_REPORTS = {
    **dict.fromkeys(("flip", "drop_last", "downsample_real", "d_augment", "hint_branch", "compile"), False),
    **dict.fromkeys(("weight_decay", "clip_norm", "ema", "warmup", "brightness", "contrast", "aged"), 0),
    **dict.fromkeys(("lambda_saturation", "lambda_bins", "r1", "r2", "d_warmup_steps", "patience", "size_min"), 0),
    **dict.fromkeys(("max_minutes", "encoder_lr", "freeze_encoder"), 0),
    **dict.fromkeys(("encoder", "start_discriminator", "vgg_weights"), ""),
    "schedule": "constant",
    "crop_min": 1.0,
    "d_target_accuracy": 1.0,
    "g_norm": "train",
    "weights": {},
    "perceptual_network": "vgg19",
    "precision": "fp32",
}
ABOUT_NO_STEP = [
    "cache",
    "checkpoint_every",
    "data_cache_gb",
    "device",
    "epochs",
    "log_every",
    "network",
    "rebalance",
    "recipe",
    "save_minutes",
    "seed",
    "start",
    "tensorboard",
    "val_photos",
    "validate_every",
    "workers",
]
SAID_ABOVE = [
    "adversarial",
    "batch_size",
    "beta1",
    "beta2",
    "d_lr",
    "d_norm",
    "g_twice",
    "lambda_adversarial",
    "lambda_l1",
    "lambda_perceptual",
    "loss",
    "lr",
    "real_label",
    "size",
]


def test_the_reports_recipes_have_nothing_that_the_report_has_not() -> None:
    for kind in (FinetuneOptions, TrainOptions):
        options = asdict(kind.from_recipe({"recipe": "report"}))
        others = {name: value for name, value in options.items() if name not in (*ABOUT_NO_STEP, *SAID_ABOVE)}
        assert others == {name: value for name, value in NOT_THE_REPORTS.items() if name in options}


def test_minutes_alone_end_a_run_that_was_given_no_epochs() -> None:
    assert FinetuneOptions(max_minutes=60.0).most_epochs is None
    assert FinetuneOptions(max_minutes=60.0, epochs=7).most_epochs == 7


def test_what_is_given_goes_before_the_recipe() -> None:
    given = {"recipe": "balanced", "lambda_l1": 3.5}
    options = TrainOptions.from_recipe(given)
    for name, value in (TrainOptions.recipes["balanced"] | given).items():
        assert getattr(options, name) == value


def test_a_recipe_names_options_that_there_are_and_changes_each() -> None:
    for kind in (FinetuneOptions, TrainOptions):
        names = {field.name for field in fields(kind)}
        assert kind.recipe in kind.recipes
        for recipe in kind.recipes.values():
            assert recipe.keys() <= names
            assert all(getattr(kind(), name) != value for name, value in recipe.items())


def test_each_option_that_came_later_says_what_it_was_before() -> None:
    first = """adversarial batch_size beta1 beta2 brightness checkpoint_every clip_norm contrast crop_min d_lr d_norm
        d_target_accuracy device ema epochs flip g_norm lambda_adversarial lambda_bins lambda_l1 lambda_perceptual
        lambda_saturation log_every loss lr max_minutes network precision r1 real_label rebalance recipe save_minutes
        schedule seed size start start_discriminator val_photos vgg_weights warmup weight_decay workers"""
    names = {field.name for options in (FinetuneOptions, TrainOptions) for field in fields(options)}
    assert names == set(first.split()) | set(BEFORE)
