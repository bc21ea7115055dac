//! What a virtual user knows and checks: variables, templates, conditions, assertions. Pure.
