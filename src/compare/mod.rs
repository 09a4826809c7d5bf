//! Models and servers side by side: figures of any mix of result files, their differences with confidence intervals, verdicts
//! against a baseline, as Markdown and HTML. It opens no file and draws no conclusion that its figures do not bear.
