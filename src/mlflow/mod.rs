//! A run in an ML Repo: parameters, figures and files, sent to an MLflow tracking server by its REST API while the run's own
//! results wait for nothing. It computes no figure.
