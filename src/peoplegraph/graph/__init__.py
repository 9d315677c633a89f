"""Types that all backends share."""
