// SPDX-License-Identifier: Apache-2.0
public import Logging
public import QuernStore

extension TaskScheduler {
    /// How a scheduler runs tasks.
    public struct Configuration: Sendable {
        /// How many handlers run at a time, of all types together. 32 by default.
        public var concurrency = 32
        /// How long the cancel hook of a task may take before its outcome is committed without it.
        public var cancelHookLimit = Duration.seconds(5)
        /// Where time comes from.
        public var clock: any WallClock = SystemWallClock()
        public var logger = Logger(label: "quern")
        /// How a store is opened that the scheduler opens itself.
        public var store = MemoStore.Configuration()
        /// The door to the operating system, of a store that the scheduler opens itself.
        public var fileSystem: any FileSystem = PosixFileSystem()

        public init() {}
    }
}
