"""What every room uses: files that survive a kill, checks, progress, seeds, statistics, text."""
