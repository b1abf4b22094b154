// SPDX-License-Identifier: Apache-2.0
public import Logging
public import Metrics
public import QuernStore

extension TaskScheduler {
    /// How a scheduler runs tasks.
    public struct Configuration: Sendable {
        /// How many handlers run at a time, of all types together: 1 to about a million. 32 by default.
        ///
        /// A handler that waits for another task (`submit(_:).memo()`) keeps its place meanwhile: when all places wait
        /// like that, nothing moves. Spawn children and wait for them in `finalize` instead.
        public var concurrency = 32
        /// What holds for all tasks unless their domain, their type or the call says otherwise. Nothing by default.
        public var options = TaskOptions()
        /// How many bytes tasks read and write in a time (T16), of all types together; nil, the default, for no limit.
        /// See
        /// ``TaskScheduler/setIOBudget(_:for:)``.
        public var ioBudget: ByteBudget?
        /// A task that has waited this long is treated as if its priority were one level better, after twice as long
        /// two levels, and so on (T16): so it runs some day however much comes in that is better. At least a
        /// millisecond; nil, the default, for never. Each interval costs a pass over the types and groups that have
        /// tasks waiting.
        public var aging: Duration?
        /// How many levels better than a running task's a waiting task's priority must be, when all places are taken,
        /// to have the running one give way (T16): its Swift task is cancelled, it is pending again, and the attempt
        /// does not count. At least 1; nil, the default, for never.
        public var preemption: UInt8?
        /// What tells how loaded what tasks need is (T16). None by default: nobody is asked, and nothing is held back.
        public var pressureSources: [any PressureSource] = []
        /// How often they are asked, on the scheduler's clock. A millisecond to a day.
        public var pressureInterval = Duration.seconds(1)
        /// What is not started under pressure.
        public var throttle = ThrottlePolicy.default
        /// How long the cancel hook of a task may take before its outcome is committed without it.
        public var cancelHookLimit = Duration.seconds(5)
        /// A task that ran each time when the process died, as often as this, is not run again: it is dead-lettered
        /// with the reason "quarantined" (T14). So one task that takes its process down cannot do so for ever.
        ///
        /// Tasks are suspected that ran when the process died and had run for about a second, or ran soon after an
        /// earlier death; suspects then run one at a time. A host that kills the process at will (deployments, a
        /// supervisor with little memory to give) may take innocent ones with it: raise the limit, or set nil.
        public var crashLimit: UInt8? = 5
        /// What the metrics call this scheduler, in the dimension `queue`.
        public var name = "quern"
        /// Where the metrics go: what `MetricsSystem` was bootstrapped with before the configuration was made.
        public var metrics: any MetricsFactory = MetricsSystem.factory
        /// Where time comes from.
        public var clock: any WallClock = SystemWallClock()
        public var logger = Logger(label: "quern")
        /// How a store is opened that the scheduler opens itself.
        public var store = MemoStore.Configuration()
        /// The door to the operating system, of a store that the scheduler opens itself.
        public var fileSystem: any FileSystem = PosixFileSystem()

        /// Where the system's time zones are read: not where the store is, which may be in memory.
        var timeZoneFiles: any FileSystem = PosixFileSystem()

        /// One task after the other, each committed before the next one is chosen: what makes tests repeatable.
        package var isSequential = false

        public init() {}
    }
}
