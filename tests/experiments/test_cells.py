"""The plan of a comparison."""

import pytest

from auglik import LIKELIHOODS, MAIN_CELLS, Cell, InputError, RunConfig, change, plan
from auglik.experiments.cells import folder_name, reference_of, remarks


def test_the_main_job_changes_one_factor_a_cell() -> None:
    cells = {cell.name: cell.config for cell in plan(RunConfig(), {})}
    objectives = {name: (config.likelihood, config.aggregator) for name, config in cells.items()}
    assert objectives == {
        "reference": ("smoothed", "jensen"),
        "hard-labels": ("categorical", "jensen"),
        "tempered-labels": ("tempered", "jensen"),
        "log-mean": ("smoothed", "log-mean"),
        "corrected": ("smoothed", "durbin-koopman"),
        "normalized": ("smoothed-normalized", "jensen"),
        "both": ("smoothed-normalized", "log-mean"),
        "dirichlet": ("dirichlet", "log-mean"),
        "context": ("categorical", "jensen"),
    }
    context = cells.pop("context")
    assert (context.views, context.view.augment, context.view.mollify) == (1, "none", "none")
    assert {config.views for config in cells.values()} == {4}
    assert all(config.evaluation == context.evaluation for config in cells.values())


def test_the_context_has_nothing_to_soften() -> None:
    cells = {cell.name: cell.config for cell in plan(change(RunConfig(), {"soften": "crop:polynomial"}), {})}
    assert cells.pop("context").soften == "none"
    assert {config.soften for config in cells.values()} == {"crop:polynomial"}


def test_likelihoods_and_aggregators_make_their_product() -> None:
    cells = plan(RunConfig(), {"likelihood": ["smoothed", "sink"], "aggregator": ["jensen", "geometric:T=2"]})
    names = [cell.name for cell in cells]
    assert names == ["smoothed+jensen", "smoothed+geometric:T=2", "sink+jensen", "sink+geometric:T=2"]


def test_several_values_multiply_and_single_ones_do_not_rename() -> None:
    factors: dict[str, list[object]] = {"likelihood": ["smoothed"], "views": [2, 4], "epochs": [3]}
    cells = plan(RunConfig(), factors)
    assert [cell.name for cell in cells] == ["smoothed+jensen+views=2", "smoothed+jensen+views=4"]
    assert {cell.config.epochs for cell in cells} == {3}


def test_what_a_cell_sets_itself_stays() -> None:
    cells = plan(change(RunConfig(), {"views": 2}), {"views": [2, 8]})
    by_name = {cell.name: cell.config for cell in cells}
    assert by_name["context"].views == 1
    assert {by_name["log-mean+views=2"].views, by_name["log-mean+views=8"].views} == {2, 8}


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (Cell("a", {}), Cell("b", {}), {}),
        (Cell("a", {"views": 4}), Cell("b", {}), {}),
        (Cell("a", {"aggregator": "geometric"}), Cell("b", {"aggregator": "geometric:T=1"}), {}),
        (Cell("a", {"views": 2}), Cell("b", {}), {"views": 2}),
        (Cell("a", {"views": 2}), Cell("a", {"views": 2}), {}),
    ],
)
def test_two_cells_of_equal_settings_are_refused_by_name(one: Cell, other: Cell, common: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"^cells 'a' and '{other.name}' have equal settings: remove one"):
        plan(change(RunConfig(), common), {"epochs": [1, 2]}, [Cell("c", {"views": 3}), one, other])


@pytest.mark.parametrize("seeds", [[3], [3, 4]])
def test_seeds_are_no_factor(seeds: list[object]) -> None:
    """Cells called after them would run with the comparison's seeds all the same."""
    with pytest.raises(InputError, match="seed: expected none among the settings"):
        plan(RunConfig(), {"seed": seeds}, [Cell("a", {})])


def test_equal_products_are_planned_once_and_names_are_unique() -> None:
    cells = plan(RunConfig(), {"views": [2, 4]}, [Cell("a", {"views": 2}), Cell("b", {})])
    assert [cell.name for cell in cells] == ["a", "b+views=4"]
    with pytest.raises(InputError, match="two cells are called 'a'"):
        plan(RunConfig(), {}, [Cell("a", {}), Cell("a", {"views": 2})])


def test_cells_of_a_file_keep_their_names_under_a_common_likelihood() -> None:
    """They used to vanish for a cell of their own, called after it."""
    cells = plan(RunConfig(), {"likelihood": ["sink"]}, [Cell("a", {}), Cell("b", {"likelihood": "tempered"})])
    assert [(cell.name, cell.config.likelihood) for cell in cells] == [("a", "sink"), ("b", "tempered")]


def test_unknown_settings_and_references_are_named() -> None:
    with pytest.raises(InputError, match="unknown setting 'vews'; did you mean 'views'"):
        plan(RunConfig(), {"vews": [1, 2]})
    with pytest.raises(InputError, match="unknown reference 'log-men'; did you mean 'log-mean'"):
        reference_of(plan(RunConfig(), {}), "log-men")


def test_a_cell_may_need_what_all_cells_share() -> None:
    """A proposal is refused beside jensen, the default, but not where the file gives all cells a log-mean."""
    cells = [Cell("plain", {}), Cell("proposed", {"proposal": "responsibilities"})]
    found = plan(RunConfig(), {"aggregator": ["log-mean"]}, cells)
    assert [cell.config.adaptive.proposal for cell in found] == ["none", "responsibilities"]


def test_cells_are_compared_on_their_own_data_set() -> None:
    cells = plan(RunConfig(), {"likelihood": ["smoothed", "sink"], "dataset": ["digits", "mnist"]})
    assert reference_of(cells, None) == {
        "smoothed+jensen+dataset=digits": "smoothed+jensen+dataset=digits",
        "smoothed+jensen+dataset=mnist": "smoothed+jensen+dataset=mnist",
        "sink+jensen+dataset=digits": "smoothed+jensen+dataset=digits",
        "sink+jensen+dataset=mnist": "smoothed+jensen+dataset=mnist",
    }
    assert set(reference_of(plan(RunConfig(), {}), "log-mean").values()) == {"log-mean"}


def test_cells_are_compared_with_their_own_network_where_several_have_it() -> None:
    both = {"network": ["resnet-18", "resnet-34"]}
    cells = plan(RunConfig(), {"likelihood": ["smoothed", "sink"], **both})
    assert reference_of(cells, None) == {
        f"{likelihood}+jensen+network={network}": f"smoothed+jensen+network={network}"
        for likelihood in ("smoothed", "sink")
        for network in both["network"]
    }
    alone = plan(
        RunConfig(), {"likelihood": ["smoothed"], "aggregator": ["jensen"], **both}
    )  # then the networks are what is compared
    assert set(reference_of(alone, None).values()) == {alone[0].name}
    views = plan(RunConfig(), {"likelihood": ["smoothed"], "aggregator": ["jensen"], "views": [2, 4], **both})
    of = reference_of(views, None)
    assert all(name.split("network=")[1].split("+")[0] in other for name, other in of.items())
    one = [Cell("plain", {}), Cell("other", {"likelihood": "sink", "network": "resnet-34"})]
    assert set(reference_of(plan(RunConfig(), {}, one), None).values()) == {"plain"}


def test_folder_names_hold_no_separator() -> None:
    assert folder_name("a+dataset=/tmp/x y.npz") == "a+dataset=-tmp-x-y.npz"
    assert folder_name("smoothed+geometric:T=2") == "smoothed+geometric:T=2"
    assert folder_name("///") == "cell"
    assert folder_name("..") not in ("..", ".")


def test_remarks_say_where_two_objectives_train_alike() -> None:
    def of(**changes: object) -> str:
        return " ".join(remarks(change(RunConfig(), changes)))

    assert "trains exactly like smoothed here" in of(likelihood="dirichlet")
    assert "re-weight the views" in of(likelihood="dirichlet", aggregator="log-mean")
    assert "trains exactly like smoothed here" in of(likelihood="dirichlet", aggregator="geometric:T=2")
    assert "trains exactly like smoothed here" in of(likelihood="dirichlet", aggregator="geometric-normalized")
    assert "geometric at T = 1 is jensen" in of(aggregator="geometric")
    assert "is jensen" not in of(aggregator="geometric:T=2")
    assert "not an NLL" in of(likelihood="smoothed-normalized")
    assert "swamps" in of(likelihood="tempered", aggregator="log-mean")
    assert "swamps" in of(likelihood="tempered", aggregator="power-mean")
    assert "swamps" in of(likelihood="label-relaxation", aggregator="log-mean")
    assert "swamps" not in of(likelihood="label-relaxation", aggregator="jensen")
    assert "swamps" not in of(likelihood="tempered", aggregator="power-mean:rho=-1")
    assert "trained without augmentation" in of(augment="none", mollify="none")
    assert of() == ""
    assert all(cell.name for cell in MAIN_CELLS)


@pytest.mark.parametrize("value", [3, "smoothed"])
def test_a_factor_is_a_list(value: object) -> None:
    with pytest.raises(InputError, match="expected a list of values, got"):
        plan(RunConfig(), {"epochs": value})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"likelihood": LIKELIHOODS["smoothed"]}, r"likelihood: expected str, got Smoothed\(\) \(Smoothed\)"),
        ({"views": "4"}, r"views: expected int, got '4' \(str\)"), ({"epochs": "4"}, "epochs: expected int, got"),
    ],
)  # fmt: skip
def test_settings_of_another_kind_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        RunConfig(**settings)  # type: ignore[arg-type]
