"""Everything that unite-bench asks of an embedder; docs/adapters.md of unite-bench lists the checks."""

from my_embedder import MyEmbedder

from unite_bench.testing import parametrize_with_checks


@parametrize_with_checks(MyEmbedder())
def test_it_keeps_its_contract(check):
    check()
