// SPDX-License-Identifier: Apache-2.0

/// Which tasks a limit, a budget or a pause is meant for (T16).
///
/// A task runs when nothing holds it back: neither its type, nor its domain, nor its group, nor what is said of
/// everything. Tasks that are held back cost the others nothing.
public enum LimitScope: Hashable, Sendable {
    /// All tasks.
    case everything
    /// The tasks of a ``TaskDomain``.
    case domain(String)
    /// The tasks of a type, whichever of its names is given: `execute` and `finalize` together.
    case type(TaskType)
    /// The tasks that were spawned into a group (``TaskOptions/group``), of whatever type.
    case group(String)
}
