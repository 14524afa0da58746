"""Claims and the evidence for them: contrasts, observations, verdicts, registration, the evidence file, reports."""

from memkit.evidence.arm import Arm
from memkit.evidence.claim import EXPECTATIONS, Claim
from memkit.evidence.claim_decorator import claim, claim_of
from memkit.evidence.contrast import Contrast
from memkit.evidence.decision_rule import differences, judge, next_seeds
from memkit.evidence.evidence_file import ClaimEvidence, Evidence, seeds_saved
from memkit.evidence.evidence_loading import load, recompute
from memkit.evidence.gate import Gate, gate
from memkit.evidence.lock_file import Lock, lock_path
from memkit.evidence.observation import Observation, observe
from memkit.evidence.registration import DEVELOPMENT_SEEDS, Registration
from memkit.evidence.verdict import Finding, Judgement, Verdict

__all__ = [
    "DEVELOPMENT_SEEDS",
    "EXPECTATIONS",
    "Arm",
    "Claim",
    "ClaimEvidence",
    "Contrast",
    "Evidence",
    "Finding",
    "Gate",
    "Judgement",
    "Lock",
    "Observation",
    "Registration",
    "Verdict",
    "claim",
    "claim_of",
    "differences",
    "gate",
    "judge",
    "load",
    "lock_path",
    "next_seeds",
    "observe",
    "recompute",
    "seeds_saved",
]
