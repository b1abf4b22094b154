// SPDX-License-Identifier: Apache-2.0

/// A part of a program that has its own tasks: which handlers it has, what holds for all its tasks, and what it needs.
///
/// ```swift
/// struct Thumbnails: TaskDomain {
///     let name = "thumbnails"
///     let options = TaskOptions(priority: 160, retry: .exponential(from: .seconds(1), attempts: 5))
///     let concurrency: Int? = 4
///     var images: ImageStore  // what its handlers work with
///
///     func register(in registry: inout Registry) {
///         registry.register(Resizer(images: images), runsOn: .threads)
///     }
/// }
///
/// let scheduler = try await TaskScheduler(storeAt: path) {
///     try $0.register(domain: Thumbnails(images: images))
/// }
/// ```
///
/// A handler spawns tasks of other domains like those of its own.
public protocol TaskDomain: Sendable {
    /// What limits and pauses name it by (``LimitScope/domain(_:)``). 1 to 255 bytes.
    var name: String { get }

    /// What holds for its tasks unless their type or the call says otherwise. Nothing by default.
    var options: TaskOptions { get }

    /// How many of its tasks run at a time, of all types together; nil, the default, for no limit but the scheduler's.
    var concurrency: Int? { get }

    /// How many bytes its tasks read and write in a time, of all types together; nil, the default, for no limit but the
    /// scheduler's.
    var ioBudget: ByteBudget? { get }

    /// Registers its handlers.
    func register(in registry: inout Registry) throws
}

extension TaskDomain {
    public var options: TaskOptions { TaskOptions() }
    public var concurrency: Int? { nil }
    public var ioBudget: ByteBudget? { nil }
}
