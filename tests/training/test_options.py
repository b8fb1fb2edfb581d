from dataclasses import fields

from colorgan.training.options import BEFORE, RECIPES, FinetuneOptions, TrainOptions, train_options


def test_the_reports_recipe_is_the_default_and_exact() -> None:
    options = train_options({})
    assert options == TrainOptions() == train_options({"recipe": "report"})
    assert (options.lr, options.d_lr, options.beta1, options.beta2) == (2e-4, 1e-4, 0.5, 0.999)
    assert (options.lambda_adversarial, options.lambda_l1, options.lambda_perceptual) == (1.0, 10.0, 10.0)
    assert (options.epochs, options.batch_size, options.size, options.checkpoint_every) == (50, 16, 256, 5)
    assert (options.adversarial, options.real_label, options.d_norm) == ("bce", 1.0, "batch")


def test_what_is_given_goes_before_the_recipe() -> None:
    given = {"recipe": "balanced", "lambda_l1": 3.5}
    options = train_options(given)
    for name, value in (RECIPES["balanced"] | given).items():
        assert getattr(options, name) == value


def test_a_recipe_names_options_that_there_are_and_changes_each() -> None:
    names = {field.name for field in fields(TrainOptions)}
    for recipe in RECIPES.values():
        assert recipe.keys() <= names
        assert all(getattr(TrainOptions(), name) != value for name, value in recipe.items())


def test_each_option_that_came_later_says_what_it_was_before() -> None:
    first = """adversarial batch_size beta1 beta2 brightness checkpoint_every clip_norm contrast crop_min d_lr d_norm
        d_target_accuracy device ema epochs flip g_norm lambda_adversarial lambda_bins lambda_l1 lambda_perceptual
        lambda_saturation log_every loss lr max_minutes network precision r1 real_label rebalance recipe save_minutes
        schedule seed size start start_discriminator val_photos vgg_weights warmup weight_decay workers"""
    names = {field.name for options in (FinetuneOptions, TrainOptions) for field in fields(options)}
    assert names == set(first.split()) | set(BEFORE)
