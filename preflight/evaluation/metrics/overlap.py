"""Free text: how much the words of an answer overlap with those of the expected one, by sacrebleu and rouge-score."""

import re
from functools import partial
from typing import Any

from preflight.evaluation.metrics.metric import Measured, Metric, Texts, additive, averaged

# Words of any script. What is written without spaces goes by character: Thai, Lao, Burmese, Khmer, kana and Han. The
# vowel signs of Indian scripts are no letters to `\w`, and yet parts of words.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{UNSPACED}]|(?:[^\W_{UNSPACED}]|[\u0900-\u0963\u0966-\u0dff])+")


class Words:
    """Tokenizer for rouge-score, whose own knows a to z alone: any other script scores 0 (huggingface/evaluate#256)."""

    def tokenize(self, text: str) -> list[str]:
        return WORD.findall(text.lower())


def rouge(texts: Texts, kind: str) -> Measured:
    """The mean F-measure of a kind of ROUGE, without stemming."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([kind], tokenizer=Words())
    pairs = zip(texts.expected, texts.answers, strict=True)
    return averaged([float(scorer.score(expected, answer)[kind].fmeasure) for expected, answer in pairs])


def chrf(texts: Texts) -> Measured:
    """The mean of the answers' chrF."""
    from sacrebleu.metrics.chrf import CHRF

    scorer = CHRF()
    pairs = zip(texts.expected, texts.answers, strict=True)
    return averaged([float(scorer.sentence_score(answer, [expected]).score) for expected, answer in pairs])


def bleu(texts: Texts) -> Measured:
    """BLEU of all answers together; its counts add up over the answers."""
    from sacrebleu.metrics.bleu import BLEU

    scorer = BLEU(effective_order=True)  # for single answers; orders without a match don't zero a short one
    pairs = zip(texts.expected, texts.answers, strict=True)
    found = [scorer.sentence_score(answer, [expected]) for expected, answer in pairs]
    parts = [[*one.counts, *one.totals, one.sys_len, one.ref_len] for one in found]
    return Measured(additive(parts, _bleu), [float(one.score) for one in found])


def _bleu(sums: Any, _: Any) -> Any:
    import numpy as np
    from sacrebleu.metrics.bleu import BLEU

    rows = np.rint(sums).astype(int).tolist()
    return np.array([BLEU.compute_bleu(row[:4], row[4:8], row[8], row[9], smooth_method="exp").score for row in rows])


METRICS = (
    Metric("rouge_l", "ROUGE-L", partial(rouge, kind="rougeL"), loose=True),
    Metric("rouge_1", "ROUGE-1", partial(rouge, kind="rouge1"), loose=True),
    Metric("rouge_2", "ROUGE-2", partial(rouge, kind="rouge2"), loose=True),
    Metric("chrf", "chrF", chrf, top=100, loose=True),
    Metric("bleu", "BLEU", bleu, top=100, mean=False, loose=True),
)
