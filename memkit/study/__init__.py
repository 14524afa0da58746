"""Staged studies: many configurations are screened on development seeds, and the best are confirmed as claims.

``reading``          strict reading of YAML
``settings``         settings: deep merges, bases, grids
``checking``         checks of the values in a matrix
``loading``          from the file ``matrix.yaml`` to a :class:`.matrix.Matrix`
``matrix``           a staged study: its configurations, controls and two stages
``subjects``         what is trained and scored: a recipe and an intervention
``objects``          tasks, models and functions, imported by the names that a matrix gives
``screening``        stage A: training, and scores on validation examples
``promotion``        the promotion rule, and the file that records which configurations were promoted
``staged``           stage B: ``@staged("matrix.yaml")`` makes the claims
``artefacts``        a folder of files for every run
``screening_table``  the results of stage A as a table
``listing``          a study in the terminal
``results``          the results of both stages as CSV and JSON files
``report``           ``report.md``
``command``          ``memkit study``

A study consists of data and a command. Its claims are registered, trained, measured and judged like all others.
"""
