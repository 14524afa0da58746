"""memkit's tasks and models with the protocols that they implement, for mypy; at run time only names are compared."""

from __future__ import annotations

import memkit.models
from memkit.tasks.binding import Execution
from memkit.tasks.binding.curriculum import Curriculum
from memkit.tasks.images import Classification
from memkit.tasks.language import Language
from memkit.tasks.recall import Recall
from memkit.training.protocols import (
    AfterBatch,
    AfterValidation,
    SeedAxisModel,
    Task,
    TaskWithChecksum,
    TaskWithData,
    TaskWithLoss,
    TaskWithSizes,
    WithExampleRecords,
    WithTables,
)

CURRICULUM = Curriculum(stages=(Execution(),))
TASKS: list[Task] = [Execution(), CURRICULUM, Classification(), Language(), Recall()]
WITH_SIZES: list[TaskWithSizes] = [Execution(), CURRICULUM, Classification(), Language(), Recall()]
WITH_DATA: list[TaskWithData] = [Classification(), Language(), Recall()]
WITH_CHECKSUM: list[TaskWithChecksum] = [Classification(), Language(), Recall()]
WITH_LOSS: list[TaskWithLoss] = [Recall()]
SEED_AXIS: list[type[SeedAxisModel]] = [
    memkit.models.SlotNetwork,
    memkit.models.ManagedSlotNetwork,
    memkit.models.MemoryNetwork,
    memkit.models.TwoStageNetwork,
    memkit.models.CrossAttentionNetwork,
    memkit.models.LSTMNetwork,
    memkit.models.TransformerNetwork,
    memkit.models.GPT,
    memkit.models.FeedForwardNetwork,
    memkit.models.IntervenedNetwork,
    memkit.models.GrowingNetwork,
    memkit.models.GrowingIntervenedNetwork,
]
AFTER_BATCH: list[type[AfterBatch]] = [memkit.models.IntervenedNetwork]
AFTER_VALIDATION: list[type[AfterValidation]] = [
    memkit.models.GrowingNetwork,
    memkit.models.GrowingIntervenedNetwork,
]
RECORDS: list[type[WithExampleRecords]] = [memkit.models.IntervenedNetwork]
TABLES: list[type[WithTables]] = [memkit.models.GrowingNetwork, memkit.models.GrowingIntervenedNetwork]
