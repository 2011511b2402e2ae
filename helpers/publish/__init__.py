"""What authors make of the course: locks, links, an offline folder, site, slides, guide, class."""
