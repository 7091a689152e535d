// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {Facilitator} from "../Facilitator.sol";
import {Fixture} from "./Fixture.sol";
import {
    Account,
    AgreeingAccount,
    BombingAccount,
    BurningAccount,
    HostileToken,
    ReenteringAccount,
    WorkingAccount
} from "./Hostile.sol";
import {Vm} from "./Test.sol";

/// Payers with code, of an honest token: the token asks them whether they signed.
contract HostilePayerTest is Fixture {
    uint256 internal constant ITEM_GAS = 150_000;

    /// The middle one of three items is by a payer with this code. Gas is what all cost.
    function settleBeside(Account account)
        private
        returns (uint256 failed, Item memory item, uint256 gas)
    {
        item = good(0, 1000);
        vm.etch(vm.addr(item.key), address(account).code);
        bytes memory items = abi.encodePacked(pack(good(1, 10)), pack(item), pack(good(2, 20)));
        vm.recordLogs();
        uint256 done;
        gas = gasleft();
        (done, failed) = settle(items);
        gas -= gasleft();
        equal(done, 3, "done");
    }

    function failsAlone(Account account, bytes32 reason) private {
        (uint256 failed, Item memory item, uint256 gas) = settleBeside(account);
        equal(failed, 2, "failed");
        equal(token.balanceOf(payee), 30, "the payee's");
        expect(!used(item), "used");
        expect(gas < ITEM_GAS + 2 * 80_000, "it cost more than its cap");
        expectFailedLog(failedLogs()[0], item, reason);
    }

    function test_a_payer_with_code_that_agrees_pays() public {
        (uint256 failed, Item memory item,) = settleBeside(new AgreeingAccount());
        equal(failed, 0, "failed");
        equal(token.balanceOf(payee), 1030, "the payee's");
        expect(used(item), "used");
    }

    function test_a_payer_that_burns_all_gas_fails_alone() public {
        failsAlone(new BurningAccount(), "FiatTokenV2: invalid signature");
    }

    function test_a_payer_that_works_for_ever_fails_alone() public {
        failsAlone(new WorkingAccount(), "FiatTokenV2: invalid signature");
    }

    /// The token copies it all, from the item's own gas.
    function test_a_payer_that_throws_much_fails_alone() public {
        failsAlone(new BombingAccount(), "FiatTokenV2: invalid signature");
    }

    function test_a_payer_cannot_settle_something_else_while_it_is_asked() public {
        failsAlone(
            new ReenteringAccount(facilitator, address(token)), "FiatTokenV2: invalid signature"
        );
    }

    /// The burning one comes last, where nothing is left over for it.
    function testFuzz_a_burning_payer_never_takes_the_others_with_it(uint256 gasLimit) public {
        Item memory burning = good(0, 1000);
        vm.etch(vm.addr(burning.key), address(new BurningAccount()).code);
        bytes memory call_ = abi.encodeCall(
            Facilitator.settle,
            (address(token), payee, abi.encodePacked(pack(good(1, 10)), pack(burning)))
        );
        vm.recordLogs();
        (bool success, bytes memory answer) =
            address(facilitator).call{gas: within(gasLimit, 160_000, 450_000)}(call_);
        expect(success, "the batch");
        (uint256 done, uint256 failed) = abi.decode(answer, (uint256, uint256));
        equal(failed, done == 2 ? 2 : 0, "failed");
        equal(token.balanceOf(payee), done > 0 ? 10 : 0, "the payee's");
        equal(failedLogs().length, done == 2 ? 1 : 0, "failed logs");
    }
}

/// Tokens that do what they like. They can fail their own payments, and nothing else.
contract HostileTokenTest is Fixture {
    HostileToken private hostile;

    function setUp() public override {
        super.setUp();
        hostile = new HostileToken();
    }

    function settleHostile(bytes memory items) private returns (uint256 done, uint256 failed) {
        return facilitator.settle(address(hostile), payee, items);
    }

    /// Of three items the middle one meets what the token does. Gas is what all cost.
    function failsAlone(HostileToken.Does what, bytes32 reason) private returns (uint256 gas) {
        Item memory item = good(0, 1);
        hostile.set(vm.addr(item.key), what);
        bytes memory items = abi.encodePacked(pack(good(1, 1)), pack(item), pack(good(2, 1)));
        vm.recordLogs();
        gas = gasleft();
        (uint256 done, uint256 failed) = settleHostile(items);
        gas -= gasleft();
        Vm.Log[] memory logs = failedLogs();
        equal(done, 3, "done");
        equal(failed, 2, "failed");
        equal(hostile.calls(vm.addr(0x402001)), 1, "the one before");
        equal(hostile.calls(vm.addr(0x402002)), 1, "the one behind");
        equal(logs.length, 1, "failed logs");
        expectFailedLog(logs[0], item, reason);
    }

    function test_a_token_that_burns_its_gas_spends_its_cap_and_no_more() public {
        uint256 gas = failsAlone(HostileToken.Does.Burns, 0);
        expect(gas > 150_000 && gas < 150_000 + 100_000, "gas");
    }

    function test_a_token_that_works_for_ever_spends_its_cap_and_no_more() public {
        uint256 gas = failsAlone(HostileToken.Does.Works, 0);
        expect(gas > 150_000 && gas < 150_000 + 100_000, "gas");
    }

    /// Beside one that throws three bytes, only the making of the bomb is paid for.
    function test_of_what_a_token_throws_32_bytes_are_copied() public {
        uint256 snapshot = vm.snapshotState();
        uint256 small = failsAlone(HostileToken.Does.ThrowsShort, bytes32(bytes3(0x112233)));
        vm.revertToState(snapshot);
        uint256 bomb = failsAlone(HostileToken.Does.Bombs, 0);
        expect(bomb > small + 56_000 && bomb < small + 58_000, "gas");
    }

    function test_a_message_gives_its_first_32_bytes() public {
        failsAlone(HostileToken.Does.ThrowsMessage, "a message of more than thirty-tw");
    }

    function test_an_empty_message_gives_what_was_thrown() public {
        failsAlone(HostileToken.Does.ThrowsEmptyMessage, bytes32(bytes4(0x08c379a0)));
    }

    function test_a_message_that_fills_no_word_gives_what_was_thrown() public {
        failsAlone(HostileToken.Does.ThrowsUnalignedMessage, bytes32(bytes4(0x08c379a0)));
    }

    function test_a_custom_error_gives_its_selector() public {
        failsAlone(
            HostileToken.Does.ThrowsCustom, bytes32(HostileToken.Custom.selector)
        );
    }

    function test_a_panic_gives_its_selector() public {
        failsAlone(HostileToken.Does.Panics, bytes32(bytes4(0x4e487b71)));
    }

    function test_a_few_bytes_are_filled_with_zeros() public {
        failsAlone(HostileToken.Does.ThrowsShort, bytes32(bytes3(0x112233)));
    }

    function test_a_reason_has_nothing_of_the_one_before() public {
        Item memory first = good(0, 1);
        Item memory second = good(1, 1);
        hostile.set(vm.addr(first.key), HostileToken.Does.ThrowsMessage);
        hostile.set(vm.addr(second.key), HostileToken.Does.ThrowsShort);
        vm.recordLogs();
        settleHostile(abi.encodePacked(pack(first), pack(second)));
        expectFailedLog(failedLogs()[1], second, bytes32(bytes3(0x112233)));
    }

    /// What an item may spend is less than what must be left for one.
    function test_a_batch_within_an_item_of_a_batch_tries_nothing() public {
        Item memory item = good(0, 1);
        Item memory inner = good(3, 1);
        hostile.set(vm.addr(item.key), HostileToken.Does.Reenters);
        hostile.setInner(pack(inner));
        bytes memory items = abi.encodePacked(pack(good(1, 1)), pack(item), pack(good(2, 1)));
        (uint256 done, uint256 failed) = settleHostile(items);
        equal(done, 3, "done");
        equal(failed, 0, "failed");
        equal(hostile.calls(vm.addr(item.key)), 1, "the one that settled again");
        equal(hostile.innerDone(), 0, "done within");
        equal(hostile.calls(vm.addr(inner.key)), 0, "the one within");
        equal(hostile.calls(vm.addr(0x402002)), 1, "the one behind");
    }

    /// Tried with all of its cap, but for what the call itself costs, or not at all.
    function testFuzz_an_item_is_tried_with_its_whole_cap(uint256 gasLimit) public {
        bytes memory items;
        for (uint64 i = 0; i < 4; i++) {
            items = abi.encodePacked(items, pack(good(i, 1)));
            hostile.set(vm.addr(0x402000 + i), HostileToken.Does.NotesGas);
        }
        bytes memory call_ = abi.encodeCall(Facilitator.settle, (address(hostile), payee, items));
        (bool success, bytes memory answer) =
            address(facilitator).call{gas: within(gasLimit, 100_000, 400_000)}(call_);
        expect(success, "the batch");
        (uint256 done, uint256 failed) = abi.decode(answer, (uint256, uint256));
        equal(failed, 0, "failed");
        expect(done == 0 || hostile.leastGas() > 149_000, "the cap");
    }

    /// Nothing but its own payers' items is in a token's hands.
    function testFuzz_whatever_a_token_does_the_batch_ends(uint256 seed, uint256 gasLimit) public {
        bytes memory items;
        uint256 expected;
        for (uint64 i = 0; i < 5; i++) {
            uint256 what = uint256(keccak256(abi.encode(seed, i))) % 10;
            hostile.set(vm.addr(payer(i)), HostileToken.Does(what));
            items = abi.encodePacked(items, pack(good(i, 1)));
            if (what != 0) expected |= 1 << i;
        }
        bytes memory call_ = abi.encodeCall(Facilitator.settle, (address(hostile), payee, items));
        (bool success, bytes memory answer) =
            address(facilitator).call{gas: within(gasLimit, 20_000, 1_500_000)}(call_);
        expect(success, "the batch");
        (uint256 done, uint256 failed) = abi.decode(answer, (uint256, uint256));
        equal(failed, expected & ((1 << done) - 1), "failed");
    }
}
