//! A dataset is a list of identities and their images: folders, LFW with its pairs, Omniglot.
