"""What the supervisor costs, beside the least that is possible and beside what people would use instead."""
