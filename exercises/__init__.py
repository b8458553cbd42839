"""Checks for the exercises at the end of the notebooks: each prints "right", "not attempted yet", or what is wrong.

They test what an answer does, not how it is written. Some of them give an answer away, so try first.
"""

from exercises.ch01 import bytes_of_the_mean_image, class_means, pca_as_a_model
from exercises.ch02 import halved_deviations, kl_between_two, kl_full_covariance, zero_terms
from exercises.ch03 import beta_vae, draws_that_are_fixed, steps_and_peak
from exercises.ch04 import a_hundred_labels, conditional_vae, cost_of_each_class, without_kl_and_noise
from exercises.ch05 import bound_for_every_k, bytes_of_an_image, few_samples
from exercises.ch06 import a_little_noise, a_normal_for_each_class, annealing, denoiser, two_collapsed_models
from exercises.ch07 import coverage, largest_estimate, mixture_prior, walk_through_noise
from exercises.ch08 import convolutional_decoder, own_pictures
from exercises.ch09 import four_replicas, next_bfloat16
from exercises.checks import mnist
