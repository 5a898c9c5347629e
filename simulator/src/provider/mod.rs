//! Twins of the AI voice providers: servers that speak a vendor's wire protocol as its documents describe it, strictly, with
//! a script where the vendor has a model. They are written from the vendors' documentation and never share code with the
//! product's codecs, so that a mistake on one side shows on the other.

pub mod openai;
