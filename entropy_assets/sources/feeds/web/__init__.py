"""Asking servers for feeds: paced, bounded, led nowhere else, and with no key shown. The one place that speaks HTTP."""
