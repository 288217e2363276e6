import numpy as np
import pytest

from deblur_zoo.files.batches import in_batches


@pytest.mark.parametrize("fill, lengths", [(False, [4, 2]), (True, [4, 4])])
def test_results_are_joined_and_filled_rows_cut(fill, lengths):
    seen = []

    def double(values, others):
        seen.append(len(values))
        return {"sum": values + others}

    result = in_batches(double, 4, np.arange(6), 10 * np.arange(6), fill=fill)
    assert seen == lengths and result["sum"].tolist() == [0, 11, 22, 33, 44, 55]
    assert in_batches(lambda part: part * 2, 4, np.arange(6), fill=fill).tolist() == [0, 2, 4, 6, 8, 10]
