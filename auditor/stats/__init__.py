"""Statistics: estimates, intervals, tests, multiplicity, resampling, power.

Arrays in, values out; knows no model. Builders make estimates from arrays, and `value`,
`interval`, `bound` and `p_value` say what an estimate shows.
"""

from auditor.stats.clusters import (
    auc,
    mean,
    mean_difference,
    paired_difference,
    paired_mean_difference,
    rate,
    rate_difference,
    rate_ratio,
    side_rates,
    two_sample_difference,
)
from auditor.stats.crossed import crossed_paired_difference
from auditor.stats.drift import drift_p
from auditor.stats.estimates import (
    ENDLESS,
    GRID,
    Draws,
    Estimate,
    Exact,
    Normal,
    PairedDifference,
    Rate,
    RateDifference,
    RateRatio,
)
from auditor.stats.hypothesis_tests import (
    PermutationTest,
    TableTest,
    binomial_exact,
    binomial_midp,
    difference_score_test,
    fisher_midp,
    g_test,
    mcnemar_exact,
    paired_score_test,
    permutation_test,
    ratio_score_test,
)
from auditor.stats.independent import difference_p
from auditor.stats.inference import bound, interval, p_value, value
from auditor.stats.intervals import (
    Interval,
    OrderStatistics,
    clopper_pearson,
    miettinen_nurminen_ratio,
    newcombe,
    order_statistic_interval,
    tango,
    wilson,
)
from auditor.stats.largest_gap import largest_gap
from auditor.stats.multiplicity import conditional_holm, holm
from auditor.stats.power import (
    smallest_excess,
    times_needed,
)
from auditor.stats.resampling import draws_of, multinomial_bootstrap
from auditor.stats.sign_flips import sign_flips
from auditor.stats.strata import (
    Adjusted,
    comparable,
    stratified_difference,
    stratified_mean_difference,
    stratified_ratio,
)

__all__ = [
    "ENDLESS",
    "GRID",
    "Adjusted",
    "Draws",
    "Estimate",
    "Exact",
    "Interval",
    "Normal",
    "OrderStatistics",
    "PairedDifference",
    "PermutationTest",
    "Rate",
    "RateDifference",
    "RateRatio",
    "TableTest",
    "auc",
    "binomial_exact",
    "binomial_midp",
    "bound",
    "clopper_pearson",
    "comparable",
    "conditional_holm",
    "crossed_paired_difference",
    "difference_p",
    "difference_score_test",
    "draws_of",
    "drift_p",
    "fisher_midp",
    "g_test",
    "holm",
    "interval",
    "largest_gap",
    "mcnemar_exact",
    "mean",
    "mean_difference",
    "miettinen_nurminen_ratio",
    "multinomial_bootstrap",
    "newcombe",
    "order_statistic_interval",
    "p_value",
    "paired_difference",
    "paired_mean_difference",
    "paired_score_test",
    "permutation_test",
    "rate",
    "rate_difference",
    "rate_ratio",
    "ratio_score_test",
    "side_rates",
    "sign_flips",
    "smallest_excess",
    "stratified_difference",
    "stratified_mean_difference",
    "stratified_ratio",
    "tango",
    "times_needed",
    "two_sample_difference",
    "value",
    "wilson",
]
