"""The front matter of the cards, as a model hub's own package reads and checks it."""

import pytest

from deblur_zoo import zoo
from trainers.publishing.model_card import front_matter, published

PUBLISHED = published()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_hub_reads_licence_tags_and_results(name):
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (extra hub-hf)")
    card = hub.ModelCard.load(zoo.hub_folder() / name / "README.md", ignore_metadata_errors=False)
    data, measured = card.data, PUBLISHED[name]["measured"]
    assert card.text.lstrip().startswith(f"# {name}\n")
    assert (data.license, data.license_name, data.library_name) == ("other", "non-commercial-research", "keras")
    assert "face-deblurring" in data.tags and "CelebA" in data.datasets
    found = {result.metric_type: result.metric_value for result in data.eval_results}
    if PUBLISHED[name]["kind"] == "deblurrer":
        assert found == {key: measured[own] for key, own in
                         (("psnr", "psnr"), ("psnr gain", "psnr_gain_db"), ("ssim", "ssim"))}  # fmt: skip
        assert data.pipeline_tag == "image-to-image"
    else:
        assert found == {"f1": measured["mean_f_score"]}
    # The package writes the same again: nothing was dropped.
    assert hub.ModelCardData(**hub.ModelCard(card.content).data.to_dict()).license == "other"


def test_a_free_licence_is_named():
    config = {"name": "mine", "kind": "deblurrer", "license": {"weights": "Apache-2.0"}}
    text = front_matter(config, {"measured": {"psnr": 30.5}}, {"data": "drawn pictures"})
    assert text.startswith('license: "apache-2.0"\n') and "datasets" not in text and '"value": 30.5' in text
