"""Templates, instructions and end marks as token ids."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from semantic_cc.config import LLMConfig
from semantic_cc.foundation.llm import load_llm
from semantic_cc.model.prompter import INSTRUCTIONS, TEMPLATES, Prompter

ASKED = "What is new?"
WHOLE = {
    "minigpt4": "<|im_start|>###Human: <Img><ImageHere></Img> What is new? ###Assistant: ",
    "chatml": "<|im_start|>user\n<Img><ImageHere></Img> What is new?<|im_end|>\n<|im_start|>assistant\n",
}
"""The random LLaMA's begin-of-sequence token is <|im_start|>."""


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return load_llm(LLMConfig(name="random", dtype="float32")).tokenizer


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_templates_text(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    prompter = Prompter(tokenizer, TEMPLATES[name])
    start, rest = tokenizer.decode(prompter.start_ids), tokenizer.decode(prompter.rest_ids(ASKED))
    assert start + "<ImageHere>" + rest == WHOLE[name]


@pytest.mark.parametrize(("name", "end"), [("minigpt4", "###"), ("chatml", "<|im_end|>")])
def test_an_answer_is_its_sentence_and_the_end_mark(
    name: str, end: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    prompter = Prompter(tokenizer, TEMPLATES[name])
    ids = prompter.answer_ids("a house is built")
    assert tokenizer.decode(ids) == "a house is built" + end
    assert prompter.sentence([*ids, *prompter.ids("and so on")]) == "a house is built"


def test_a_sentence_ends_where_the_llm_ends_its_text(tokenizer: PreTrainedTokenizerBase) -> None:
    prompter = Prompter(tokenizer, TEMPLATES["minigpt4"])
    ids = prompter.ids("a  house\nis built")
    assert prompter.sentence([*ids, tokenizer.eos_token_id, *ids]) == "a house is built"


def test_an_end_mark_of_its_own_token_has_an_id(tokenizer: PreTrainedTokenizerBase) -> None:
    assert Prompter(tokenizer, TEMPLATES["chatml"]).end_id == tokenizer.eos_token_id
    assert Prompter(tokenizer, TEMPLATES["minigpt4"]).end_id is None


def test_an_end_mark_of_plain_text_has_none() -> None:
    """LLaMA's tokenizer: "###" alone is one token, after a word it is two others."""
    vocabulary = ["▁", "a", "#", "##", "▁##", "▁###", "<s>", "</s>"]
    merges = [("#", "#"), ("▁", "##"), ("▁##", "#")]
    core = Tokenizer(models.BPE(vocab={text: i for i, text in enumerate(vocabulary)}, merges=merges))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    core.decoder = decoders.Metaspace()
    llama = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")
    prompter = Prompter(llama, TEMPLATES["minigpt4"])
    assert len(prompter.ids("###")) == 1
    assert prompter.answer_ids("a")[-1:] != prompter.ids("###")
    assert prompter.end_id is None


def test_the_four_instructions() -> None:
    """Word for word those of the paper's section IV-C."""
    assert INSTRUCTIONS == (
        "Describe the difference between the new remote sensing image and the old one in detail.",
        "What is the main change between the two remote sensing scenes? Describe it in detail.",
        "Please provide a detailed description of the difference between these two remote sensing pictures.",
        "Can you describe what has been changed between these two remote sensing pictures for me?",
    )


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_the_vocabulary_covers_the_sentences_of_its_words(
    tokenizer: PreTrainedTokenizerBase, name: str
) -> None:
    sentence = "two houses are built"
    prompter = Prompter(tokenizer, TEMPLATES[name], sentence.split())
    assert prompter.vocabulary_ids is not None
    for text in (sentence, "houses", "built two are houses"):
        assert set(prompter.answer_ids(text)) <= set(prompter.vocabulary_ids)
    assert not set(prompter.ids(" xylophone")) <= set(prompter.vocabulary_ids)
    assert Prompter(tokenizer, TEMPLATES[name]).vocabulary_ids is None
