from dataclasses import fields

from colorgan.training.options import RECIPES, TrainOptions, train_options


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
