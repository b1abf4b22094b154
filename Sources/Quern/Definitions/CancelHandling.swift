// SPDX-License-Identifier: Apache-2.0
public import QuernStore

/// A handler that wants to know of cancelled tasks: to delete a partial file, to tell another service.
///
/// Let a ``TaskHandler`` or an ``OrchestratorHandler`` conform to it. Handlers that do not conform cost nothing:
/// the payloads of their cancelled tasks are not even read.
public protocol CancelHandling<Work>: Sendable {
    associatedtype Work: DurableTask

    /// Called for each task of the type that is cancelled, whether it ran or not, before its outcome commits. After
    /// a crash in between it is called again.
    ///
    /// It has ``TaskScheduler/Configuration/cancelHookLimit`` to return; the outcome does not wait longer. Errors
    /// are logged and change nothing.
    func cancelled(_ task: Work, id: TaskID) async throws
}
