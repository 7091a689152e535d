// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {Facilitator} from "../Facilitator.sol";
import {Fixture} from "./Fixture.sol";
import {Vm} from "./Test.sol";

/// A batch of good and bad authorizations of an honest token.
contract SettleTest is Fixture {
    // ------------------------------------------------------------------ what is settled

    function test_payers_pay_what_they_signed_to_the_payee() public {
        Item memory first = good(0, 1000);
        Item memory second = good(1, 2500);
        vm.recordLogs();
        (uint256 done, uint256 failed) = settle(abi.encodePacked(pack(first), pack(second)));
        equal(failedLogs().length, 0, "failed logs");
        equal(done, 2, "done");
        equal(failed, 0, "failed");
        equal(token.balanceOf(payee), 3500, "the payee's");
        equal(token.balanceOf(vm.addr(first.key)), 999_000, "the first payer's");
        equal(token.balanceOf(vm.addr(second.key)), 997_500, "the second payer's");
        expect(used(first) && used(second), "used");
    }

    function test_one_payer_may_have_many_items() public {
        bytes memory items;
        for (uint64 i = 1; i <= 10; i++) items = abi.encodePacked(items, pack(good(0, i)));
        (uint256 done, uint256 failed) = settle(items);
        equal(done, 10, "done");
        equal(failed, 0, "failed");
        equal(token.balanceOf(payee), 55, "the payee's");
    }

    function test_nothing_to_settle_is_settled() public {
        (uint256 done, uint256 failed) = settle("");
        equal(done, 0, "done");
        equal(failed, 0, "failed");
    }

    function test_anybody_may_settle_and_gains_nothing() public {
        Item memory item = good(0, 1000);
        Stranger stranger = new Stranger();
        stranger.settle(facilitator, address(token), payee, pack(item));
        equal(token.balanceOf(payee), 1000, "the payee's");
        equal(token.balanceOf(address(stranger)), 0, "the stranger's");
    }

    function test_another_payee_than_the_signed_one_gets_nothing() public {
        Item memory item = good(0, 1000);
        bytes memory items = pack(item);
        payee = address(0xbad);
        (, uint256 failed) = settle(items);
        equal(failed, 1, "failed");
        equal(token.balanceOf(payee), 0, "the thief's");
        expect(!used(item), "used");
    }

    /// Every field of an item arrives as it was signed, at the ends of its range, too.
    function testFuzz_any_authorization_that_fits_is_paid(
        uint256 key,
        uint64 value,
        uint40 validAfter,
        uint40 validBefore,
        bytes32 nonce,
        address to
    ) public {
        validAfter = uint40(within(validAfter, 0, NOW - 1));
        validBefore = uint40(within(validBefore, NOW + 1, type(uint40).max));
        Item memory item =
            Item(within(key, 1, 1 << 250), value, validAfter, validBefore, nonce);
        payee = to == address(0) ? address(1) : to;
        if (payee == vm.addr(item.key)) return;
        token.mint(vm.addr(item.key), value);
        uint256 before = token.balanceOf(payee);
        (uint256 done, uint256 failed) = settle(pack(item));
        equal(done, 1, "done");
        equal(failed, 0, "failed");
        equal(token.balanceOf(payee), before + value, "the payee's");
        expect(used(item), "used");
    }

    // --------------------------------------------------------------------- what fails

    /// Between two good ones, that are paid; its log has the reason.
    function failsAlone(Item memory item, bytes memory packed, bytes32 reason) private {
        Item memory before = good(100, 10);
        Item memory behind = good(101, 20);
        bool usedBefore = used(item);
        uint256 had = token.balanceOf(payee);
        vm.recordLogs();
        (uint256 done, uint256 failed) =
            settle(abi.encodePacked(pack(before), packed, pack(behind)));
        Vm.Log[] memory logs = failedLogs();
        equal(done, 3, "done");
        equal(failed, 2, "failed");
        equal(token.balanceOf(payee), had + 30, "the payee's");
        expect(used(before) && used(behind) && used(item) == usedBefore, "used");
        equal(logs.length, 1, "failed logs");
        expectFailedLog(logs[0], item, reason);
    }

    function test_a_used_authorization_fails_alone() public {
        Item memory item = good(0, 1000);
        settle(pack(item));
        failsAlone(item, pack(item), "FiatTokenV2: authorization is us");
    }

    function test_an_expired_authorization_fails_alone() public {
        Item memory item = good(0, 1000);
        item.validBefore = uint40(NOW);
        failsAlone(item, pack(item), "FiatTokenV2: authorization is ex");
    }

    function test_an_authorization_that_is_not_yet_valid_fails_alone() public {
        Item memory item = good(0, 1000);
        item.validAfter = uint40(NOW);
        failsAlone(item, pack(item), "FiatTokenV2: authorization is no");
    }

    function test_another_signer_fails_alone() public {
        Item memory item = good(0, 1000);
        failsAlone(item, packBy(item, payer(1)), "FiatTokenV2: invalid signature");
    }

    function test_a_changed_value_fails_alone() public {
        Item memory item = good(0, 1000);
        bytes memory packed = pack(item);
        packed[27] = bytes1(uint8(packed[27]) + 1);
        failsAlone(item, packed, "FiatTokenV2: invalid signature");
    }

    function test_a_signature_of_nobody_fails_alone() public {
        Item memory item = good(0, 1000);
        failsAlone(item, packWith(item, 0, 0), "ECRecover: invalid signature");
    }

    function test_a_high_s_fails_alone() public {
        Item memory item = good(0, 1000);
        bytes32 s = bytes32(type(uint256).max >> 1);
        failsAlone(item, packWith(item, bytes32(uint256(1)), s), "ECRecover: invalid signature 's'");
    }

    function test_a_payer_without_the_money_fails_alone() public {
        Item memory item = good(0, 1_000_001);
        failsAlone(item, pack(item), "ERC20: transfer amount exceeds b");
    }

    function test_a_blacklisted_payer_fails_alone() public {
        Item memory item = good(0, 1000);
        token.blacklist(vm.addr(item.key));
        failsAlone(item, pack(item), "Blacklistable: account is blackl");
    }

    function test_the_second_of_two_equal_items_fails() public {
        Item memory item = good(0, 1000);
        (uint256 done, uint256 failed) = settle(abi.encodePacked(pack(item), pack(item)));
        equal(done, 2, "done");
        equal(failed, 2, "failed");
        equal(token.balanceOf(payee), 1000, "the payee's");
    }

    function test_a_payer_whose_money_ends_in_the_batch_pays_while_it_lasts() public {
        bytes memory items;
        for (uint64 i = 0; i < 4; i++) items = abi.encodePacked(items, pack(good(0, 300_000 + i)));
        (uint256 done, uint256 failed) = settle(items);
        equal(done, 4, "done");
        equal(failed, 8, "failed");
        equal(token.balanceOf(payee), 900_003, "the payee's");
    }

    function test_all_fail_when_the_token_is_paused() public {
        token.pause();
        vm.recordLogs();
        Item memory item = good(1, 1);
        (uint256 done, uint256 failed) = settle(abi.encodePacked(pack(good(0, 1)), pack(item)));
        Vm.Log[] memory logs = failedLogs();
        equal(done, 2, "done");
        equal(failed, 3, "failed");
        equal(logs.length, 2, "failed logs");
        expectFailedLog(logs[1], item, "Pausable: paused");
    }

    function test_all_fail_when_the_payee_is_blacklisted() public {
        token.blacklist(payee);
        (, uint256 failed) = settle(abi.encodePacked(pack(good(0, 1)), pack(good(1, 1))));
        equal(failed, 3, "failed");
    }

    function test_all_fail_when_the_payee_is_nobody() public {
        payee = address(0);
        vm.recordLogs();
        Item memory item = good(0, 1);
        (, uint256 failed) = settle(pack(item));
        equal(failed, 1, "failed");
        expectFailedLog(failedLogs()[0], item, "ERC20: transfer to the zero addr");
    }

    /// Good and bad ones in any order: the bitmap, the logs and the money all agree.
    function testFuzz_exactly_the_bad_items_fail(uint256 seed, uint8 size) public {
        uint256 count = within(size, 1, 24);
        bytes memory items;
        uint256 expected;
        uint256 sum;
        for (uint64 i = 0; i < count; i++) {
            Item memory item = good(i % 5, i + 1);
            uint256 kind = uint256(keccak256(abi.encode(seed, i))) % 8;
            uint256 signer = item.key;
            if (kind == 0) item.validBefore = uint40(NOW);
            if (kind == 1) item.validAfter = uint40(NOW);
            if (kind == 2) signer = payer(6);
            if (kind == 3) item.value = 2_000_000;
            items = abi.encodePacked(items, packBy(item, signer));
            if (kind < 4) expected |= 1 << i;
            else sum += item.value;
        }
        vm.recordLogs();
        (uint256 done, uint256 failed) = settle(items);
        equal(done, count, "done");
        equal(failed, expected, "failed");
        equal(token.balanceOf(payee), sum, "the payee's");
        equal(failedLogs().length, bits(expected), "failed logs");
    }

    function bits(uint256 map) private pure returns (uint256 count) {
        for (; map != 0; map &= map - 1) count++;
    }

    function testFuzz_garbage_moves_nothing_and_reverts_nothing(bytes32 seed, uint8 size) public {
        uint256 count = within(size, 0, 8);
        bytes memory items = new bytes(count * ITEM_SIZE);
        for (uint256 i = 0; i < items.length; i++) {
            items[i] = bytes1(uint8(uint256(keccak256(abi.encode(seed, i)))));
        }
        uint256 supply = token.totalSupply();
        (uint256 done, uint256 failed) = settle(items);
        equal(done, count, "done");
        equal(failed, (1 << count) - 1, "failed");
        equal(token.balanceOf(payee), 0, "the payee's");
        equal(token.totalSupply(), supply, "the supply");
    }

    // ------------------------------------------------------------------ what is refused

    function test_part_of_an_item_is_refused() public {
        bytes memory packed = pack(good(0, 1));
        vm.expectRevert(abi.encodeWithSelector(Facilitator.WrongSize.selector, 135));
        settle(abi.encodePacked(packed, uint8(0)));
        vm.expectRevert(abi.encodeWithSelector(Facilitator.WrongSize.selector, 1));
        settle(hex"00");
        equal(token.balanceOf(payee), 0, "the payee's");
    }

    function test_a_full_bitmap_is_the_most() public {
        (uint256 done, uint256 failed) = settle(new bytes(256 * ITEM_SIZE));
        equal(done, 256, "done");
        equal(failed, type(uint256).max, "failed");
        vm.expectRevert(abi.encodeWithSelector(Facilitator.TooMany.selector, 257));
        settle(new bytes(257 * ITEM_SIZE));
    }

    function test_an_address_without_code_is_no_token() public {
        bytes memory items = pack(good(0, 1));
        vm.expectRevert(abi.encodeWithSelector(Facilitator.NoCode.selector, address(0xdead)));
        facilitator.settle(address(0xdead), payee, items);
    }

    // ----------------------------------------------------------------------- custody

    function test_it_has_no_storage() public {
        bytes memory items = abi.encodePacked(pack(good(0, 1)), pack(good(0, 2_000_000)));
        vm.record();
        settle(items);
        (bytes32[] memory reads, bytes32[] memory writes) = vm.accesses(address(facilitator));
        equal(reads.length, 0, "reads");
        equal(writes.length, 0, "writes");
    }

    function test_it_takes_no_ether_and_has_no_other_function() public {
        expect(address(this).balance > 1, "ether to send");
        expect(!send(""), "plain");
        expect(!send(abi.encodeCall(Facilitator.settle, (address(token), payee, ""))), "settle");
        (bool success,) = address(facilitator).call(hex"12345678");
        expect(!success, "another function");
    }

    function send(bytes memory data) private returns (bool success) {
        (success,) = address(facilitator).call{value: 1}(data);
    }

    // --------------------------------------------------------------------------- gas

    /**
     * Whatever gas there is: the transaction fails whole, or the first items are paid and
     * the others untouched. None is said to have failed.
     */
    function testFuzz_a_starved_item_is_left_alone(uint256 gasLimit) public {
        uint256 count = 6;
        Item[] memory list = new Item[](count);
        bytes memory items;
        for (uint64 i = 0; i < count; i++) {
            list[i] = good(i, 100 + i);
            items = abi.encodePacked(items, pack(list[i]));
        }
        bytes memory call_ = abi.encodeCall(Facilitator.settle, (address(token), payee, items));
        vm.recordLogs();
        (bool success, bytes memory answer) =
            address(facilitator).call{gas: within(gasLimit, 0, 700_000)}(call_);
        uint256 done;
        uint256 failed;
        if (success) (done, failed) = abi.decode(answer, (uint256, uint256));
        equal(failed, 0, "failed");
        equal(failedLogs().length, 0, "failed logs");
        uint256 sum;
        for (uint256 i = 0; i < count; i++) {
            expect(used(list[i]) == (i < done), "used");
            if (i < done) sum += list[i].value;
        }
        equal(token.balanceOf(payee), sum, "the payee's");
    }

    function test_it_stops_where_the_gas_would_not_last() public {
        bytes memory items;
        for (uint64 i = 0; i < 6; i++) items = abi.encodePacked(items, pack(good(i, 1)));
        (uint256 done, uint256 failed) =
            facilitator.settle{gas: 300_000}(address(token), payee, items);
        expect(done > 1 && done < 6, "some are done");
        equal(failed, 0, "failed");
        equal(token.balanceOf(payee), done, "the payee's");
    }
}

contract Stranger {
    function settle(Facilitator facilitator, address token, address payee, bytes calldata items)
        external
    {
        facilitator.settle(token, payee, items);
    }
}
