//! The metrics of a fleet; nothing without the feature `metrics`.

/// A message of another member, or of a stranger, was refused.
pub(crate) fn message_refused(reason: &'static str) {
    #[cfg(feature = "metrics")]
    metrics::counter!("platools_fleet_messages_refused_total", "reason" => reason).increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = reason;
}

/// Whether this member is the gateway.
pub(crate) fn role(entity: &str, is_gateway: bool) {
    #[cfg(feature = "metrics")]
    metrics::gauge!("platools_fleet_gateway", "entity" => entity.to_owned())
        .set(f64::from(u8::from(is_gateway)));
    #[cfg(not(feature = "metrics"))]
    let _ = (entity, is_gateway);
}

/// A member as the gateway sees it; `None` once it is gone.
pub(crate) fn member(entity: &str, name: &str, figures: Option<(usize, usize)>) {
    #[cfg(feature = "metrics")]
    {
        let (running, free) = figures.unwrap_or_default();
        let labels = [("entity", entity.to_owned()), ("member", name.to_owned())];
        metrics::gauge!("platools_fleet_member_up", &labels).set(f64::from(u8::from(figures.is_some())));
        metrics::gauge!("platools_fleet_member_running", &labels).set(running as f64);
        metrics::gauge!("platools_fleet_member_free", &labels).set(free as f64);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = (entity, name, figures);
}
